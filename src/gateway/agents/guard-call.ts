/** A call to an agent on its way past the guards and into the records. How a client wants to be notified is between it and the gateway: neither sees that. */
import { PUSH_MEMBER, objectOf } from '../../agents/a2a/read.ts';
import { isPush } from '../../agents/a2a/methods.ts';
import type { Exchange } from '../exchange.ts';
import { guardRead, guardsOf } from '../guard.ts';
import type { AgentCall } from './call.ts';

export interface ReadCall {
  bytes: Buffer;
  call: AgentCall;
}

/** What is recorded of a call; undefined: nothing. */
export function recordable({ bytes, call }: ReadCall): Buffer | undefined {
  if (isPush(call.operation)) return undefined;
  return call.refs.wantsPush ? withPush(bytes, {}) : bytes;
}

/** The send that goes on. A guard changes what is said, never what is called. Throws guard_blocked, guard_unavailable. */
export async function guardCall(exchange: Exchange, asked: ReadCall, read: (bytes: Buffer) => AgentCall): Promise<AgentCall> {
  const guards = guardsOf(exchange, 'request');
  if (guards.length === 0) return asked.call;
  const { operation, version, rpcId, refs } = asked.call;
  const push = refs.wantsPush ? pushIn(asked.bytes) : undefined;
  const shown = push === undefined ? asked : { ...asked, bytes: withPush(asked.bytes, {}) };
  const guarded = await guardRead(exchange, guards, shown, (bytes) => {
    const call = read(push === undefined ? bytes : withPush(bytes, push));
    const isSame = call.operation === operation && call.version === version && call.rpcId === rpcId;
    if (!isSame) throw new Error('a guard may not change `method` or `id`');
    return { bytes, call };
  });
  return guarded.call;
}

type Members = Record<string, unknown>;

/** In the body of a REST call, or in the params of one of JSON-RPC. */
function configurationIn(body: Members): Members | undefined {
  return objectOf((objectOf(body.params) ?? body).configuration);
}

function pushIn(bytes: Buffer): Members {
  const configuration = configurationIn(JSON.parse(bytes.toString('utf8')) as Members) ?? {};
  return Object.fromEntries(Object.entries(configuration).filter(([name]) => PUSH_MEMBER.test(name)));
}

/** The same call with these wishes to be notified and no others. Throws where it is no call. */
function withPush(bytes: Buffer, push: Members): Buffer {
  const body = JSON.parse(bytes.toString('utf8')) as Members;
  const holder = objectOf(body.params) ?? body;
  const kept = Object.entries(configurationIn(body) ?? {}).filter(([name]) => !PUSH_MEMBER.test(name));
  holder.configuration = { ...Object.fromEntries(kept), ...push };
  return Buffer.from(JSON.stringify(body));
}
