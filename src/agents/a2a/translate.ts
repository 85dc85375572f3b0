/**
 * Calls between two versions of the protocol, and between its bindings: the SDK's server side reads what a client of one version says, and its client side says it to an
 * agent of another. Between them stands an `A2ARequestHandler` that passes every operation on. The SDK is loaded at the first such call.
 */
import type { Transport } from '@a2a-js/sdk/client';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import type { AgentCard } from '@a2a-js/sdk';

import type { AgentInterface } from '../../core/agent.ts';
import { withFinal } from './final.ts';
import { type JsonObject, type Operation, type ProtocolVersion, isSend, methodOf } from './methods.ts';
import { ProtocolError } from './protocol.ts';
import { objectOf } from './read.ts';

/** What a client asks, in the words of its version: the parameters as its JSON-RPC has them. */
export interface ClientCall {
  version: ProtocolVersion;
  operation: Operation;
  params: JsonObject;
}

export interface Upstream {
  /** Its name, for people. */
  agent: string;
  interface: AgentInterface;
  fetch: typeof fetch;
  /** What kept the last request from being answered in the protocol's terms. The SDK would call it an internal error. */
  failure: () => Error | undefined;
}

/** As JSON-RPC's `result` in the client's version. */
export type TranslatedAnswer = { result: unknown } | { events: AsyncGenerator<unknown, void, undefined> };

export interface Translator {
  /** Rejects, and its events throw, with a ProtocolError, or with `upstream.failure()`. */
  translate(call: ClientCall, upstream: Upstream): Promise<TranslatedAnswer>;
}

export function createTranslator(): Translator {
  let loading: Promise<Sdk> | undefined;
  return {
    async translate(call, upstream) {
      loading ??= loadSdk();
      const sdk = await loading;
      const { version, operation } = call;
      const method = methodOf(version, operation);
      if (method === undefined) throw new ProtocolError(-32601, `A2A ${version} has no such method`);
      if (operation === 'list' && upstream.interface.version === '0.3') {
        throw new ProtocolError(-32004, 'An agent of A2A 0.3 cannot list its tasks');
      }
      const talk: Talk = { sdk, call, agent: upstream.agent, failure: upstream.failure, isAsked: false };
      const handler = delegateTo(await transportTo(sdk, upstream), talk);
      const context = new sdk.ServerCallContext({ requestedVersion: version });
      const request = { jsonrpc: '2.0', id: 1, method, params: paramsOf(call) };
      const answer = await (
        version === '1.0' ? new sdk.JsonRpcTransportHandler(handler) : new sdk.LegacyJsonRpcTransportHandler(handler)
      ).handle(request, context);
      if (Symbol.asyncIterator in answer) {
        const events = resultsOf(answer, talk);
        return { events: version === '0.3' ? withFinal(events) : events };
      }
      return { result: resultOf(answer, talk) };
    },
  };
}

async function loadSdk() {
  const [{ JsonRpcTransportHandler, ServerCallContext }, { LegacyJsonRpcTransportHandler }, { A2AError }, client] =
    await Promise.all([
      import('@a2a-js/sdk/server'),
      import('@a2a-js/sdk/compat/v0_3/server'),
      import('@a2a-js/sdk/errors'),
      import('@a2a-js/sdk/client'),
    ]);
  return { JsonRpcTransportHandler, ServerCallContext, LegacyJsonRpcTransportHandler, A2AError, client };
}

type Sdk = Awaited<ReturnType<typeof loadSdk>>;

/** One call, and how far it came: an error of the SDK's own is the client's fault before the agent was asked, and the agent's after it. */
interface Talk {
  agent: string;
  sdk: Sdk;
  call: ClientCall;
  failure: Upstream['failure'];
  isAsked: boolean;
  /** By the side that asks the agent. */
  threw?: unknown;
}

/**
 * A tenant is the interface's to name: one of the client's would lead to another agent behind the same endpoint. Agents of 0.3 wait for the end unless told not to,
 * and so do both of their SDKs; to the translation, who says nothing does not wait.
 */
function paramsOf({ version, operation, params }: ClientCall): JsonObject {
  const { tenant: _, ...rest } = params;
  const configuration = objectOf(rest.configuration);
  if (version === '1.0' || !isSend(operation) || configuration === undefined) return rest;
  return { ...rest, configuration: { ...configuration, blocking: configuration.blocking !== false } };
}

const LEGACY = { legacyCompat: { enabled: true } };

async function transportTo({ client }: Sdk, { interface: at, fetch }: Upstream): Promise<Transport> {
  const options = { fetchImpl: fetch, ...LEGACY };
  const factory =
    at.binding === 'JSONRPC' ? new client.JsonRpcTransportFactory(options) : new client.RestTransportFactory(options);
  const transport = await factory.create(at.url, cardFor(at));
  return at.tenant === undefined ? transport : new client.TenantTransportDecorator(transport, at.tenant);
}

/** The SDK's two sides ask a card for what they may do; whether the agent can is the agent's to say. */
function cardFor({ url, binding, version, tenant = '' }: AgentInterface): AgentCard {
  return {
    name: '',
    description: '',
    version: '',
    provider: undefined,
    supportedInterfaces: [{ url, protocolBinding: binding, protocolVersion: version, tenant }],
    capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: [],
    defaultOutputModes: [],
    skills: [],
    signatures: [],
  };
}

const ANYWHERE = cardFor({ url: 'http://agent.invalid', binding: 'JSONRPC', version: '1.0' });

function delegateTo(transport: Transport, talk: Talk): A2ARequestHandler {
  const { one, each } = asking(talk);
  return {
    getAgentCard: () => Promise.resolve(ANYWHERE),
    getAuthenticatedExtendedAgentCard: one(async (params) => cardFrom(await transport.getExtendedAgentCard(params), talk.call)),
    sendMessage: one((params) => transport.sendMessage(params)),
    sendMessageStream: each((params) => transport.sendMessageStream(params)),
    getTask: one((params) => transport.getTask(params)),
    cancelTask: one((params) => transport.cancelTask(params)),
    createTaskPushNotificationConfig: one((params) => transport.createTaskPushNotificationConfig(params)),
    getTaskPushNotificationConfig: one((params) => transport.getTaskPushNotificationConfig(params)),
    listTaskPushNotificationConfigs: one((params) => transport.listTaskPushNotificationConfig(params)),
    deleteTaskPushNotificationConfig: one((params) => transport.deleteTaskPushNotificationConfig(params)),
    resubscribe: each((params) => transport.resubscribeTask(params)),
    listTasks: one((params) => transport.listTasks(params)),
  };
}

/** The SDK tells a client of 0.3 of no card that has no place of 0.3. The places are the gateway's to rewrite. */
function cardFrom(card: AgentCard, { version }: ClientCall): AgentCard {
  if (version === '1.0') return card;
  return { ...card, supportedInterfaces: card.supportedInterfaces.map((each) => ({ ...each, protocolVersion: '0.3' })) };
}

/** Notes that the agent is asked, and what came of it before the SDK words it anew. */
function asking(talk: Talk) {
  return {
    one:
      <Params, Result>(ask: (params: Params) => Promise<Result>) =>
      async (params: Params): Promise<Result> => {
        talk.isAsked = true;
        try {
          return await ask(params);
        } catch (thrown) {
          talk.threw = thrown;
          throw thrown;
        }
      },
    each: <Params, Item>(ask: (params: Params) => AsyncGenerator<Item, void, undefined>) =>
      async function* events(params: Params): AsyncGenerator<Item, void, undefined> {
        talk.isAsked = true;
        try {
          yield* ask(params);
        } catch (thrown) {
          talk.threw = thrown;
          throw thrown;
        }
      },
  };
}

/** The result of an envelope. Throws the error that it holds, or what stood behind it. */
function resultOf(envelope: object, talk: Talk): unknown {
  const { error, result } = envelope as { error?: unknown; result?: unknown };
  const told = objectOf(error);
  if (told === undefined) return result;
  throw errorOf(talk, told);
}

async function* resultsOf(
  envelopes: AsyncGenerator<object, void, undefined>,
  talk: Talk,
): AsyncGenerator<unknown, void, undefined> {
  try {
    for await (const envelope of envelopes) yield resultOf(envelope, talk);
  } catch (thrown) {
    throw thrown instanceof ProtocolError ? thrown : errorOf(talk, toldBy(thrown, talk));
  }
  // A body that broke off looks to the SDK like one that ended.
  const failure = talk.failure();
  if (failure !== undefined) throw failure;
}

/** What went wrong, in the order of who knows best: the way to the agent, the agent, the SDK (which has `told`). */
function errorOf(talk: Talk, told: JsonObject): Error {
  const { sdk, call, failure, isAsked, threw } = talk;
  const failed = failure();
  if (failed !== undefined) return failed;
  if (!isAsked)
    return asProtocolError(told.code === -32603 ? { code: -32602, message: 'The params cannot be read' } : told, call);
  // Within a stream the SDK's error is a plain one, the agent's own its cause.
  const word = [threw, objectOf(threw)?.cause].find((each) => each instanceof sdk.A2AError);
  if (word !== undefined) return asProtocolError(toldBy(word, talk), call);
  const [, message, code] = (threw instanceof Error && NAMELESS.exec(threw.message)) || [];
  if (code !== undefined) return asProtocolError({ code: Number(code), message }, call);
  return new ProtocolError(
    -32006,
    `The answer of the agent \`${talk.agent}\` cannot be used: it is none to this call that the protocol knows`,
  );
}

/** How the SDK words errors of 0.3's REST that it has no class for, -32603 and -32601 among them. */
const NAMELESS = /^REST error: (.*) \(Code: (-\d{1,6})\)/s;

/** As the SDK would tell it to a client of that version. */
function toldBy(thrown: unknown, { sdk, call }: Talk): JsonObject {
  const told: JsonObject =
    call.version === '1.0'
      ? { ...sdk.JsonRpcTransportHandler.mapToJSONRPCError(thrown) }
      : { ...sdk.LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError(thrown) };
  const status = objectOf(thrown)?.statusCode;
  const isOurs = told.code === -32603 && typeof status === 'number' && status >= 400 && status < 500;
  // REST of 1.0 without a reason that is known: the status says whose fault it is.
  return isOurs ? { code: status === 404 ? -32601 : -32602, message: told.message } : told;
}

/** What only 1.0 has, clients of 0.3 do not get. */
function asProtocolError({ code, message, data }: JsonObject, { version }: ClientCall): ProtocolError {
  const fits = Array.isArray(data) === (version === '1.0');
  const text = typeof message === 'string' && message !== '' ? message : 'The agent gave no reason';
  return new ProtocolError(typeof code === 'number' ? code : -32603, text, fits ? data : undefined);
}
