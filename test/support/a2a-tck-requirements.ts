/** The requirements of a2a-tck for A2A 1.0, by their ids, and which of them say nothing about a gateway. */

/** Group → the ids in it, without the group's name. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  CORE: [
    ...numbered('SEND', 3),
    ...numbered('STREAM', 3),
    ...numbered('GET', 2),
    ...numbered('LIST', 5),
    ...numbered('CANCEL', 3),
    ...numbered('EXECUTION-MODE', 2),
    ...numbered('ERR', 2),
    ...numbered('CAP', 4),
    ...numbered('MULTI', 6),
    'MULTI-001a',
    'MULTI-002a',
    ...numbered('HIST', 6),
  ],
  DM: [
    ...numbered('TASK', 2),
    ...numbered('MSG', 2),
    ...numbered('PART', 1),
    ...numbered('ART', 1),
    ...numbered('STATUS', 1),
    ...numbered('SERIAL', 5),
  ],
  STREAM: [...numbered('ORDER', 4), ...numbered('SUB', 4)],
  PUSH: [
    ...numbered('CREATE', 2),
    ...numbered('GET', 2),
    ...numbered('LIST', 1),
    ...numbered('DEL', 2),
    ...numbered('DELIVER', 3),
  ],
  CARD: [
    ...numbered('DISC', 1),
    ...numbered('PROTO', 2),
    ...numbered('STRUCT', 1),
    ...numbered('EXT', 2),
    ...numbered('SIGN', 4),
    ...numbered('CACHE', 3),
  ],
  AUTH: [...numbered('TLS', 2), ...numbered('SERVER', 2), ...numbered('INTASK', 6), ...numbered('SCOPE', 3)],
  VER: [...numbered('CLIENT', 2), ...numbered('SERVER', 3)],
  BIND: [...numbered('EQUIV', 4), ...numbered('FIELD', 1)],
  JSONRPC: [...numbered('FMT', 2), ...numbered('SVC', 2), ...numbered('ERR', 3), ...numbered('SSE', 2)],
  GRPC: [...numbered('SVC', 3), ...numbered('META', 1), ...numbered('ERR', 3)],
  HTTP_JSON: [
    ...numbered('URL', 2),
    ...numbered('SVC', 2),
    ...numbered('QP', 1),
    ...numbered('ERR', 2),
    ...numbered('STATUS', 1),
    ...numbered('SSE', 1),
  ],
};

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${String(index + 1).padStart(3, '0')}`);
}

export const REQUIREMENTS: readonly string[] = Object.entries(GROUPS).flatMap(([group, ids]) =>
  ids.map((id) => `${group}-${id}`),
);

/** Reason → the ids that it takes out. */
const REASONS: Readonly<Record<string, readonly string[]>> = {
  'there is no gRPC here': GROUPS['GRPC']!.map((id) => `GRPC-${id}`),
  'cards served here carry no signature; those of agents are checked in `src/agents/card-signature.test.ts`': [
    'CARD-SIGN-001',
    'CARD-SIGN-002',
    'CARD-SIGN-003',
    'CARD-SIGN-004',
  ],
  'a MAY that the gateway does not use: it has an `ETag`': ['CARD-CACHE-003'],
  'about a deployment or a client, not about the protocol': ['AUTH-TLS-001', 'AUTH-TLS-002', 'AUTH-SERVER-001'],
  'how an agent comes by credentials is its own affair': ['AUTH-INTASK-004'],
};

export const NOT_APPLICABLE: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(REASONS).flatMap(([reason, ids]) => ids.map((id) => [id, reason])),
);

/** `BIND-EQUIV-001` is of `BIND`. */
const groupOf = (id: string): string => id.slice(0, id.indexOf('-'));

/** The table of docs/agents.md, from what is tested. */
export function conformanceTable(tested: ReadonlySet<string>): string[] {
  const rows = Object.keys(GROUPS).map((group) => {
    const ids = REQUIREMENTS.filter((id) => groupOf(id) === group);
    const out = ids.filter((id) => id in NOT_APPLICABLE);
    const reasons = [...new Set(out.map((id) => NOT_APPLICABLE[id]!))];
    const told = reasons.map((reason) => {
      const of = out.filter((id) => NOT_APPLICABLE[id] === reason);
      return `${of.length === ids.length ? 'all' : of.map((id) => `\`${id}\``).join(', ')}: ${reason}`;
    });
    return `| ${group} | ${ids.length} | ${ids.filter((id) => tested.has(id)).length} | ${told.join('; ')} |`;
  });
  const total = REQUIREMENTS.filter((id) => tested.has(id)).length;
  return [...rows, `| all | ${REQUIREMENTS.length} | ${total} | ${Object.keys(NOT_APPLICABLE).length} |`];
}
