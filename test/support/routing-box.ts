/** A Signalbox whose providers `a`, `b`, `c` and `claude` are one scripted server: what each target answers is said by `provider/model`. */
import { type Reply, ask } from './ask.ts';
import { type ExchangeLog, exchangeLog } from './exchange-log.ts';
import { type FaultRequest, type FaultUpstream, type Step, startFaultUpstream, whole } from './fault-upstream.ts';
import { answerSteps, streamSteps } from './fronts.ts';
import { type Signalbox, startSignalbox } from './signalbox.ts';

const KEYS = {
  KEY: 'key-of-the-client-0001',
  EU_KEY: 'key-of-the-client-0002',
  NARROW_KEY: 'key-of-the-client-0003',
  ADMIN_KEY: 'key-of-the-operator-01',
};

export interface RoutingBox {
  box: Signalbox;
  log: ExchangeLog;
  /** What a target answers from now on; others answer soundly, in kind. */
  play: (target: string, script: (request: FaultRequest) => Step[]) => void;
  /** `a/model`, in the order in which they came. */
  asked: (model?: string) => string[];
  /** Bodies that came to a target. */
  bodies: (target: string) => Record<string, unknown>[];
  call: (path: string, body: object, more?: { headers?: Record<string, string>; key?: keyof typeof KEYS }) => Promise<Reply>;
  chat: (model: string, more?: object, options?: { headers?: Record<string, string>; key?: keyof typeof KEYS }) => Promise<Reply>;
  explain: (asked: object) => Promise<Record<string, unknown>>;
  metrics: () => Promise<string>;
  config: (models: readonly object[]) => string;
  close: () => Promise<void>;
}

/** Targets of one model name at several providers. */
export function at(name: string, targets: Readonly<Record<string, object>>, more: object = {}): object {
  return {
    name,
    ...more,
    targets: Object.entries(targets).map(([provider, each]) => Object.assign({ provider, model: name }, each)),
  };
}

export const refuses =
  (status: number, message: string, headers: Record<string, string | number> = {}, error: object = {}) =>
  (): Step[] => [
    { send: whole(status, JSON.stringify({ error: { message, type: 'some_error', code: null, ...error } }), headers) },
  ];

/** `more`: of providers, by name. */
export async function startRoutingBox(
  models: readonly object[],
  workers = 1,
  more: Readonly<Record<string, object>> = {},
): Promise<RoutingBox> {
  const upstream = await startFaultUpstream(() => []);
  const scripts = new Map<string, (request: FaultRequest) => Step[]>();
  const targetOf = ({ method, path, body }: FaultRequest): string =>
    method === 'GET'
      ? `${path.split('/')[1]!}/GET`
      : `${path.split('/')[1]!}/${(JSON.parse(body.toString('utf8')) as { model: string }).model}`;
  upstream.play((request) => (scripts.get(targetOf(request)) ?? answerInKind)(request));
  const config = (own: readonly object[]): string => configText(upstream, { models: own, workers, more });
  const box = await startSignalbox({ config: config(models), env: KEYS });
  const log = exchangeLog(box);
  const call: RoutingBox['call'] = (path, body, { headers = {}, key = 'KEY' } = {}) =>
    ask(`${box.url}${path}`, { headers: { authorization: `Bearer ${KEYS[key]}`, ...headers }, body });
  const admin = { authorization: `Bearer ${KEYS.ADMIN_KEY}` };
  return {
    box,
    log,
    play: (target, script) => void scripts.set(target, script),
    asked: (model) => upstream.requests.map(targetOf).filter((target) => model === undefined || target.split('/')[1] === model),
    bodies: (target) =>
      upstream.requests
        .filter((request) => targetOf(request) === target)
        .map(({ body }) => JSON.parse(body.toString('utf8')) as Record<string, unknown>),
    call,
    chat: (model, more = {}, options = {}) =>
      call('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Is the line clear?' }], ...more }, options),
    explain: async (asked) =>
      JSON.parse((await ask(`${box.url}/admin/v1/route/explain`, { headers: admin, body: asked })).text) as Record<
        string,
        unknown
      >,
    metrics: async () => (await ask(`${box.url}/metrics`, { headers: admin })).text,
    config,
    close: async () => {
      await box.kill();
      await upstream.close();
    },
  };
}

function answerInKind({ path, body }: FaultRequest): Step[] {
  const wire = path.includes('messages') ? 'messages' : path.includes('responses') ? 'responses' : 'chat';
  return body.includes('"stream":true') ? streamSteps(wire) : answerSteps(wire);
}

interface ConfigParts {
  models: readonly object[];
  workers: number;
  more: Readonly<Record<string, object>>;
}

function configText({ url }: FaultUpstream, { models, workers, more }: ConfigParts): string {
  const compatible = (name: string) => ({
    type: 'openai-compatible',
    base_url: `${url}/${name}/v1`,
    api_key: 'none',
    ...more[name],
  });
  return JSON.stringify({
    server: { workers },
    providers: {
      a: compatible('a'),
      b: compatible('b'),
      c: compatible('c'),
      openai: { base_url: `${url}/openai/v1`, api_key: 'none' },
      azure: { type: 'openai', base_url: `${url}/azure/v1`, api_key: 'none' },
      claude: { type: 'anthropic-compatible', base_url: `${url}/claude`, api_key: 'none' },
    },
    models,
    keys: [
      { name: 'client', key: '${env:KEY}', models: ['*'] },
      { name: 'european', key: '${env:EU_KEY}', models: ['*'], tags: ['eu', 'billing'] },
      { name: 'narrow', key: '${env:NARROW_KEY}', models: ['granted', 'by-another-name'] },
    ],
    admin: { key: '${env:ADMIN_KEY}' },
    telemetry: { log: { format: 'json' } },
  });
}
