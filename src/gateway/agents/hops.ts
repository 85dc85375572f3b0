/**
 * Which agents a call has come through, so that no ring of agents spends money for ever. What we sent on comes back to us in W3C Baggage, which whoever is instrumented
 * passes on unseen; it is signed, since anybody can write a header. It moves no charge: who presents the key pays.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

import { GatewayError } from '../../core/errors.ts';

const MEMBER = 'signalbox-hops';
const MAX_HOPS = 8;
/** So much of other people's members is passed on. */
const MAX_HEADER = 8_192;

export interface Hops {
  /** Names of agents, the first one first. Throws hop_limit where the agent is among them, or there are too many. */
  enter(baggage: string | undefined, agent: string): string;
}

/** `pepper`: the secret of the installation, hex. Answers the baggage to send on: the caller's, with our member. */
export function createHops(pepper: string): Hops {
  const sign = (text: string): string =>
    createHmac('sha256', Buffer.from(pepper, 'hex')).update(`hops\0${text}`).digest('base64url');
  const read = (member: string): string[] => {
    const [text = '', signature = ''] = member.split('.');
    const expected = Buffer.from(sign(text));
    const given = Buffer.from(signature);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return [];
    return Buffer.from(text, 'base64url').toString('utf8').split('\n');
  };
  return {
    enter(baggage, agent) {
      const members = membersOf(baggage);
      const own = members.filter(isOwn);
      const before = own.flatMap((each) => read(each.slice(MEMBER.length + 1).split(';')[0]!));
      if (before.includes(agent))
        throw refusal(`the agent ${agent} is already at work on it (${[...before, agent].join(' → ')})`);
      if (before.length >= MAX_HOPS) throw refusal(`it has come through ${before.length} agents`);
      const text = Buffer.from([...before, agent].join('\n')).toString('base64url');
      const others = (baggage?.length ?? 0) > MAX_HEADER ? [] : members.filter((each) => each !== '' && !isOwn(each));
      return [...others, `${MEMBER}=${text}.${sign(text)}`].join(',');
    },
  };
}

/** Our part of a header, to go on where nothing else of the caller's does. */
export function hopsIn(baggage: string | string[] | undefined): string | undefined {
  const own = membersOf(joined(baggage)).filter(isOwn);
  return own.length > 0 ? own.join(',') : undefined;
}

function membersOf(baggage = ''): string[] {
  return baggage.split(',').map((each) => each.trim());
}

function isOwn(member: string): boolean {
  return member.startsWith(`${MEMBER}=`);
}

/** A header that may come several times. */
export function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

function refusal(why: string): GatewayError {
  return new GatewayError('hop_limit', { details: { message: `This call is refused: ${why}` } });
}
