/**
 * Calls between two versions of the protocol, and between its bindings: the SDK's server side reads what a client of one version says, and its client side says it to an
 * agent of another. Between them stands an `A2ARequestHandler` that passes every operation on. The SDK is loaded at the first such call.
 */
import type { Transport } from '@a2a-js/sdk/client';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import type { AgentCard } from '@a2a-js/sdk';

import type { AgentInterface } from '../../core/agent.ts';
import { type JsonObject, type Operation, type ProtocolVersion, methodOf } from './methods.ts';
import { ProtocolError } from './protocol.ts';
import { objectOf, seenIn } from './read.ts';

/** What a client asks, in the words of its version: the parameters as its JSON-RPC has them. */
export interface ClientCall {
  version: ProtocolVersion;
  operation: Operation;
  params: JsonObject;
}

export interface Upstream {
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
      const method = methodOf(call.version, call.operation);
      if (method === undefined) throw new ProtocolError(-32601, `A2A ${call.version} has no such method`);
      const handler = delegateTo(await transportTo(sdk, upstream));
      const context = new sdk.ServerCallContext({ requestedVersion: call.version });
      const request = { jsonrpc: '2.0', id: 1, method, params: call.params };
      const answer = await (
        call.version === '1.0' ? new sdk.JsonRpcTransportHandler(handler) : new sdk.LegacyJsonRpcTransportHandler(handler)
      ).handle(request, context);
      if (Symbol.asyncIterator in answer) {
        const events = resultsOf(answer, call, upstream);
        return { events: call.version === '0.3' ? withFinal(events) : events };
      }
      return { result: resultOf(answer, call, upstream) };
    },
  };
}

async function loadSdk() {
  const [{ JsonRpcTransportHandler, ServerCallContext }, { LegacyJsonRpcTransportHandler }, client] = await Promise.all([
    import('@a2a-js/sdk/server'),
    import('@a2a-js/sdk/compat/v0_3/server'),
    import('@a2a-js/sdk/client'),
  ]);
  return { JsonRpcTransportHandler, ServerCallContext, LegacyJsonRpcTransportHandler, client };
}

type Sdk = Awaited<ReturnType<typeof loadSdk>>;

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

function delegateTo(transport: Transport): A2ARequestHandler {
  return {
    getAgentCard: () => Promise.resolve(ANYWHERE),
    getAuthenticatedExtendedAgentCard: (params) => transport.getExtendedAgentCard(params),
    sendMessage: (params) => transport.sendMessage(params),
    sendMessageStream: (params) => transport.sendMessageStream(params),
    getTask: (params) => transport.getTask(params),
    cancelTask: (params) => transport.cancelTask(params),
    createTaskPushNotificationConfig: (params) => transport.createTaskPushNotificationConfig(params),
    getTaskPushNotificationConfig: (params) => transport.getTaskPushNotificationConfig(params),
    listTaskPushNotificationConfigs: (params) => transport.listTaskPushNotificationConfig(params),
    deleteTaskPushNotificationConfig: (params) => transport.deleteTaskPushNotificationConfig(params),
    resubscribe: (params) => transport.resubscribeTask(params),
    listTasks: (params) => transport.listTasks(params),
  };
}

/** The result of an envelope. Throws the error that it holds, or what stood behind it. */
function resultOf(envelope: object, { version }: ClientCall, { failure }: Upstream): unknown {
  const { error, result } = envelope as { error?: unknown; result?: unknown };
  const told = objectOf(error);
  if (told === undefined) return result;
  throw failure() ?? asProtocolError(told, version);
}

/** What only 1.0 has, clients of 0.3 do not get. */
function asProtocolError({ code, message, data }: JsonObject, version: ProtocolVersion): ProtocolError {
  const fits = Array.isArray(data) === (version === '1.0');
  const text = typeof message === 'string' && message !== '' ? message : 'The agent gave no reason';
  return new ProtocolError(typeof code === 'number' ? code : -32603, text, fits ? data : undefined);
}

async function* resultsOf(
  envelopes: AsyncGenerator<object, void, undefined>,
  call: ClientCall,
  upstream: Upstream,
): AsyncGenerator<unknown, void, undefined> {
  try {
    for await (const envelope of envelopes) yield resultOf(envelope, call, upstream);
  } catch (thrown) {
    if (thrown instanceof ProtocolError) throw thrown;
    throw upstream.failure() ?? protocolErrorOf(thrown);
  }
  // A body that broke off looks to the SDK like one that ended.
  const failure = upstream.failure();
  if (failure !== undefined) throw failure;
}

/** The SDK's own errors carry the code of their envelope, or are of a class that has one. */
function protocolErrorOf(thrown: unknown): Error {
  const { envelopeCode, message = '', name = '' } = thrown as { envelopeCode?: unknown; message?: string; name?: string };
  if (typeof envelopeCode === 'number') return new ProtocolError(envelopeCode, message);
  const code = Object.entries(CODES_BY_NAME).find(([word]) => name.includes(word))?.[1] ?? -32603;
  return new ProtocolError(code, message === '' ? 'The agent gave no reason' : message);
}

const CODES_BY_NAME: Readonly<Record<string, number>> = {
  TaskNotFound: -32001,
  TaskNotCancelable: -32002,
  PushNotificationNotSupported: -32003,
  UnsupportedOperation: -32004,
  ContentTypeNotSupported: -32005,
  InvalidAgentResponse: -32006,
  ExtendedAgentCardNotConfigured: -32007,
  ExtensionSupportRequired: -32008,
  VersionNotSupported: -32009,
  RequestMalformed: -32602,
};

/**
 * 0.3 marks the last status of an interaction as final, also where the agent waits for the client; 1.0 just ends its stream. Whether such a status is the last shows with
 * the next event only, so it waits for that.
 */
async function* withFinal(events: AsyncGenerator<unknown, void, undefined>): AsyncGenerator<unknown, void, undefined> {
  let held: JsonObject | undefined;
  for await (const event of events) {
    if (held !== undefined) yield held;
    held = undefined;
    const seen = seenIn(event);
    const waits = seen?.kind === 'status' && (seen.state === 'input-required' || seen.state === 'auth-required');
    if (waits) held = event as JsonObject;
    else yield event;
  }
  if (held !== undefined) yield { ...held, final: true };
}
