/**
 * The operator's file, key by key: the only definition of what may stand in it. `signalbox schema`, docs/configuration.md and the
 * admin API are made from it. Every description says what the key does; units are in the key's name or in the description.
 *
 * What only several keys together can get wrong is in checks.ts; keys of capabilities still to come are in not-built.ts.
 */
import * as z from 'zod';

import { DEFAULT_TIMEOUTS } from '../core/target.ts';
import { agentSchema } from './schema-agent.ts';
import { events } from './schema-events.ts';
import { guards } from './schema-guard.ts';
import { healthCheck } from './schema-health.ts';
import { endUsers, priorities } from './schema-limits.ts';
import { modelRouting, targetRouting } from './schema-routing.ts';
import { rulesFields } from './schema-rules.ts';
import { int, text } from './schema-parts.ts';
import { jwt, oidc } from './schema-people.ts';
import { ledger } from './schema-ledger.ts';
import { store } from './schema-store.ts';
import * as values from './values.ts';

const MAX_MS = 86_400_000;
const MAX_BYTES = 1_099_511_627_776;

function weight(others: string) {
  const meaning = `Share of the calls, relative to the other ${others}; 0: only where none of them can be reached.`;
  return z.number().min(0).max(1_000_000).default(1).describe(meaning);
}

const headers = z.record(text(values.headerNameProblem), text(values.headerValueProblem));
const usdPerMtok = z.number().min(0).max(1_000_000);

const cors = z
  .strictObject({
    origins: z.array(text(values.corsOriginProblem)).min(1).describe('Origins that browsers may call from; `*` allows all.'),
    max_age_s: int(0, 86_400)
      .default(600)
      .describe('How long, in seconds, a browser may keep the answer to a preflight request.'),
  })
  .describe('Cross-origin calls from browsers. Absent: none are allowed.');

const tls = z
  .strictObject({
    cert_file: text()
      .exactOptional()
      .describe('Certificate chain, a PEM file. Relative paths start at the file they are written in.'),
    key_file: text().exactOptional().describe('Private key of the certificate, a PEM file.'),
    cert: text().exactOptional().describe('Certificate chain as PEM text, instead of `cert_file`.'),
    key: text().exactOptional().describe('Private key as PEM text, by reference, instead of `key_file`.'),
  })
  .describe('Serve HTTPS. Absent: plain HTTP, for loopback or behind a proxy that speaks TLS.');

const server = z
  .strictObject({
    host: text().default('127.0.0.1').describe('Address to listen on. Any but a loopback address needs `admin.key`.'),
    port: int(0, 65_535).default(4000).describe('Port to listen on; 0 takes any free one.'),
    workers: z
      .union([z.literal('auto'), int(1, 64)], { error: 'must be `auto` or a number from 1 to 64' })
      .default('auto')
      .describe('Worker threads. `auto`: one per core, at most 8; elsewhere than on Linux, one.'),
    public_url: text(values.urlProblem)
      .exactOptional()
      .describe('URL under which clients reach Signalbox. Absent: the one in the ready line.'),
    max_body_bytes: int(1024, MAX_BYTES)
      .default(33_554_432)
      .describe('Largest request body, in bytes; a larger one is answered 413.'),
    max_header_bytes: int(1024, 1_048_576)
      .default(16_384)
      .describe('Largest request head, in bytes; a larger one is answered 431.'),
    max_inflight_bytes: int(1_048_576, MAX_BYTES)
      .default(268_435_456)
      .describe(
        'Bytes of bodies and held answers, and 16 KiB for each exchange, over all workers; past it new work is answered 503.',
      ),
    headers_timeout_ms: int(1, MAX_MS)
      .default(15_000)
      .describe('Time, in milliseconds, in which the head of a request must arrive.'),
    body_timeout_ms: int(1, MAX_MS)
      .default(60_000)
      .describe('Time, in milliseconds, in which the body of a request must arrive.'),
    keep_alive_timeout_ms: int(1, MAX_MS).default(75_000).describe('How long, in milliseconds, an idle connection is kept.'),
    drain_s: int(0, 86_400).default(300).describe('How long, in seconds, streams may go on after SIGTERM.'),
    trusted_proxies: z
      .array(text(values.cidrProblem))
      .default([])
      .describe('Address ranges of front proxies whose `X-Forwarded-For` is believed.'),
    cors: cors.exactOptional(),
    tls: tls.exactOptional(),
  })
  .prefault({})
  .describe('The public port.');

const quirks = z
  .strictObject({
    include_usage: z
      .boolean()
      .exactOptional()
      .describe('`false`: the provider refuses `stream_options` and sends usage in streams unasked.'),
    rename: z.record(text(), text()).exactOptional().describe('Parameters that have another name there: ours to theirs.'),
    unsupported: z
      .array(text())
      .exactOptional()
      .describe(
        'Parameters that the provider refuses; left out of translations, with a warning. A relay passes on what the caller sent.',
      ),
    reasoning_field: z
      .enum(['reasoning_content', 'reasoning'])
      .exactOptional()
      .describe('Under which name earlier reasoning is sent back. Absent: not at all.'),
  })
  .describe('How this provider departs from its dialect; each key given here replaces that of the catalog row.');

const apiKey = text(values.credentialProblem);

const endpoint = z.strictObject({
  base_url: text(values.urlProblem).exactOptional().describe('Absent: the `base_url` of the provider.'),
  api_key: apiKey.exactOptional().describe('Absent: the `api_key` of the provider. By reference, or `none`.'),
  weight: weight('endpoints'),
});

const provider = z.strictObject({
  type: text()
    .exactOptional()
    .describe('A row of the catalog (docs/providers.md) or `openai-compatible`. Absent: the name of this entry.'),
  base_url: text(values.urlProblem)
    .exactOptional()
    .describe('Where to send; anthropic URLs without `/v1`, openai ones with it. Absent: the one of the catalog row.'),
  api_key: apiKey.exactOptional().describe('Credential, by reference: `"${env:OPENAI_API_KEY}"`. `none` sends none.'),
  api_keys: z.array(apiKey).min(1).exactOptional().describe('Several credentials that share the calls, instead of `api_key`.'),
  endpoints: z
    .array(endpoint)
    .min(1)
    .exactOptional()
    .describe('Several places to send to, each with its own credential if it has one.'),
  headers: headers
    .exactOptional()
    .describe('Headers sent with every call. Values that look like credentials must be references.'),
  quirks: quirks.exactOptional(),
  health_check: healthCheck.exactOptional(),
  ...rulesFields,
});

const price = z
  .union(
    [
      z.literal('free'),
      z.strictObject({
        input_usd_per_mtok: usdPerMtok.describe('USD per million input tokens.'),
        output_usd_per_mtok: usdPerMtok.describe('USD per million output tokens.'),
        cache_read_usd_per_mtok: usdPerMtok
          .exactOptional()
          .describe('USD per million tokens read from a cache. Absent: the input price.'),
        cache_write_usd_per_mtok: usdPerMtok
          .exactOptional()
          .describe('USD per million tokens written to a cache. Absent: the input price.'),
        cache_write_1h_usd_per_mtok: usdPerMtok
          .exactOptional()
          .describe('USD per million tokens written to a cache for an hour. Absent: the price of other cache writes.'),
        reasoning_usd_per_mtok: usdPerMtok
          .exactOptional()
          .describe('USD per million reasoning tokens. Absent: the output price.'),
        per_request_usd: z.number().min(0).max(1000).exactOptional().describe('USD per request, beside its tokens.'),
      }),
    ],
    { error: 'must be `free` or a mapping of prices' },
  )
  .describe('Replaces the list price: `free`, or prices in USD. Absent: the list price, where the model is known.');

const timeouts = z
  .strictObject({
    connect_ms: int(1, MAX_MS).default(DEFAULT_TIMEOUTS.connectMs).describe('Connecting, TLS included.'),
    first_byte_ms: int(1, MAX_MS)
      .default(DEFAULT_TIMEOUTS.firstByteMs)
      .describe('Streams: from the request to the first byte of the answer.'),
    idle_ms: int(1, MAX_MS).default(DEFAULT_TIMEOUTS.idleMs).describe('Streams: silence between two chunks.'),
    total_ms: int(1, MAX_MS).default(DEFAULT_TIMEOUTS.totalMs).describe('Unary answers: from the request to the last byte.'),
  })
  .describe('How long each stage of an attempt may take, in milliseconds.');

const target = z.strictObject({
  provider: text().describe('Name of an entry under `providers`.'),
  model: text(values.upstreamModelProblem).describe('Name of the model there; `*` stands for the rest of the asked name.'),
  weight: weight('targets'),
  price: price.exactOptional(),
  timeouts: timeouts.exactOptional(),
  params: z
    .record(text(), z.json())
    .exactOptional()
    .describe('Parameters set where the caller sent none, by their name in the dialect of the target.'),
  drop_params: z
    .array(text())
    .exactOptional()
    .describe('Parameters taken out of what is sent, by their name in the dialect of the target.'),
  ...targetRouting,
  limits: rulesFields.limits,
});

const modelSchema = z.strictObject({
  name: text(values.modelNameProblem).describe(
    'What clients ask for. `prefix*` serves every name that begins so; the longest prefix wins.',
  ),
  ...modelRouting,
  targets: z.array(target).default([]).describe('What can serve the model.'),
  context_window: int(1, 1_000_000_000).exactOptional().describe('Greatest prompt, in tokens; shown by `/v1/models`.'),
  max_output_tokens: int(1, 1_000_000_000)
    .exactOptional()
    .describe(
      'Greatest answer, in tokens; shown by `/v1/models`, and sent where a dialect demands a limit and the caller set none.',
    ),
  record_bodies: z
    .boolean()
    .default(false)
    .describe('`true`: bodies of its calls are kept, encrypted, for as long as the store keeps them; beside those of keys.'),
  capabilities: z.array(text()).exactOptional().describe('Words shown by `/v1/models`, such as `tools` or `vision`.'),
  ...rulesFields,
});

const key = z.strictObject({
  name: text(values.keyNameProblem).describe('Its identity in the ledger, in logs and in metrics.'),
  models: z
    .array(text(values.grantProblem))
    .default(['*'])
    .describe('Public model names, `prefix*` or `*` that this key may use.'),
  agents: z
    .array(text(values.agentGrantProblem))
    .default([])
    .describe('Agents that this key may call: names, `tag:x` for all of a tag, or `*`. Absent: none.'),
  expires_at: text(values.dateProblem)
    .exactOptional()
    .describe('Date, or date and time with zone, from which the key is refused. Absent: never.'),
  blocked: z.boolean().default(false).describe('`true`: the key is refused.'),
  key: text(values.keyProblem).describe('The secret, by reference: at least 16 visible ASCII characters.'),
  ...rulesFields,
  tags: z
    .array(text(values.tagProblem))
    .max(16)
    .default([])
    .describe('What its calls are counted under, beside the key; a tag may have limits and a budget of its own (`tags`).'),
  ips: z
    .array(text(values.cidrProblem))
    .min(1)
    .exactOptional()
    .describe('Address ranges from which it is accepted. Absent: from anywhere.'),
  user: text(values.idProblem('usr')).exactOptional().describe('Id of the user it belongs to. Absent: to nobody.'),
  team: text(values.idProblem('team'))
    .exactOptional()
    .describe('Id of the team it belongs to, whose grants, limits and budgets hold too. A user must be a member.'),
  priority: z
    .enum(['high', 'normal', 'low'])
    .default('normal')
    .describe('Who goes first where a limit of a model, target or provider is nearly used up (`priorities`).'),
  record_bodies: z
    .boolean()
    .default(false)
    .describe('`true`: bodies of its calls are kept, encrypted, for as long as the store keeps them.'),
});

const tag = z.strictObject(rulesFields);

const admin = z
  .strictObject({
    key: text(values.keyProblem).exactOptional().describe('The admin key, by reference. Absent: minted at the first start.'),
  })
  .prefault({})
  .describe('Who may manage Signalbox.');

const clientCertificate = z.strictObject({
  origin: text(values.originProblem).describe('Origin that asks for the certificate, such as `https://llm.internal:8443`.'),
  cert_file: text().describe('Certificate chain, a PEM file.'),
  key_file: text().describe('Private key of the certificate, a PEM file.'),
});

const egress = z
  .strictObject({
    allow_private: z
      .array(text(values.cidrProblem))
      .default([])
      .describe('Private address ranges that URLs from outside this file may reach. URLs in this file are always used as given.'),
    proxy: z
      .strictObject({
        url: text(values.proxyUrlProblem).describe('URL of an HTTP proxy; one with a password must be a reference.'),
        no_proxy: z.array(text()).default([]).describe('Hosts, `.suffixes` and address ranges that are reached directly.'),
      })
      .exactOptional()
      .describe('Send everything outbound through a proxy.'),
    ca_file: text().exactOptional().describe('Certificate authorities to trust beside the built-in ones, a PEM file.'),
    client_certificates: z
      .array(clientCertificate)
      .default([])
      .describe('Certificates that we show to upstreams that ask for one.'),
  })
  .prefault({})
  .describe('The way out: every outbound connection.');

const telemetry = z
  .strictObject({
    otlp: z
      .strictObject({
        endpoint: text(values.urlProblem).describe('Base URL of an OTLP/HTTP collector, such as `http://127.0.0.1:4318`.'),
        headers: headers
          .default({})
          .describe('Headers sent to the collector. Values that look like credentials must be references.'),
        service_name: text().default('signalbox').describe('`service.name` of the traces.'),
        sample_ratio: z
          .number()
          .min(0)
          .max(1)
          .default(1)
          .describe('Part of the exchanges that are traced, 0 to 1, where the client did not decide.'),
      })
      .exactOptional()
      .describe('Send traces. Absent: none are made.'),
    log: z
      .strictObject({
        level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('The least that is logged.'),
        format: z.enum(['auto', 'json', 'pretty']).default('auto').describe('`auto`: pretty on a terminal, JSON elsewhere.'),
      })
      .prefault({})
      .describe('The log on stderr.'),
  })
  .prefault({})
  .describe('Logs and traces.');

export const configSchema = z
  .strictObject({
    include: z
      .array(text())
      .exactOptional()
      .describe('Files to read beside this one; relative paths start here. Lists are joined, sections merged.'),
    server,
    providers: z.record(z.string(), provider).default({}).describe('Upstream accounts, by name.'),
    models: z.array(modelSchema).default([]).describe('Public names that clients ask for.'),
    agents: z.array(agentSchema).default([]).describe('A2A agents that clients call.'),
    keys: z.array(key).default([]).describe('Virtual keys that clients present.'),
    tags: z.record(text(values.tagProblem), tag).default({}).describe('Limits and budgets that all keys of a tag share, by tag.'),
    priorities,
    end_users: endUsers,
    jwt: jwt.exactOptional(),
    oidc: oidc.exactOptional(),
    guards,
    events,
    admin,
    store,
    ledger,
    egress,
    telemetry,
  })
  .describe('Configuration of Signalbox.');

export type Config = z.output<typeof configSchema>;
export type ProviderConfig = Config['providers'][string];
export type ModelConfig = Config['models'][number];
export type TargetConfig = ModelConfig['targets'][number];

/** A JSON object as z.toJSONSchema makes it, as far as we read it. */
export interface JsonSchema {
  description?: string;
  type?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  required?: string[];
}

let made: JsonSchema | undefined;

/** JSON Schema (2020-12) of the file as it is written, for editors. Made once, and read only. */
export function jsonSchema(): Readonly<JsonSchema> {
  return (made ??= z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema);
}
