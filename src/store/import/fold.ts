/**
 * What a batch of facts means for the tables: a pure function, so that the whole import is decided here and only carried out elsewhere.
 *
 * A reservation ends exactly once: with its exchange, or by expiring. An exchange counts once, by its id.
 */
import type { ExchangeFact } from '../../core/exchange.ts';
import type { AgentTaskFact, BodyFact, CheckpointFact, Fact, ReserveFact } from '../../core/fact.ts';
import type { OpenReservationTable } from '../sql/tables/ledger.ts';
import { createAgentSums } from './agents.ts';
import { settle } from './settle.ts';
import { type Folded, createSums, wholeNanoUsd } from './sums.ts';

export interface FoldContext {
  node: string;
  thread: string;
  /** Exchanges that have ended in the store already, of those in the batch. */
  ended: ReadonlySet<string>;
}

type Takers = { [Kind in Fact['kind']]: (fact: Extract<Fact, { kind: Kind }>) => void };

/** Throws RangeError where a fact holds money that is none. */
export function foldFacts(facts: readonly Fact[], context: FoldContext): Folded {
  const sums = createSums();
  const agents = createAgentSums();
  const ended = new Set(context.ended);
  const opened = new Map<string, Opened>();
  const checkpoints = new Map<string, CheckpointFact>();
  let taken = 0;
  const takers: Takers = {
    exchange: (fact: ExchangeFact) => {
      ended.add(fact.id);
      agents.call(fact, settle(fact, sums) ?? 0);
    },
    reserve: (fact: ReserveFact) => {
      wholeNanoUsd(fact.nanoUsd);
      wholeNanoUsd(fact.floorNanoUsd);
      opened.set(attemptOf(fact), { fact, checkpointNanoUsd: 0 });
    },
    checkpoint: (fact: CheckpointFact) => {
      const mine = opened.get(attemptOf(fact));
      if (mine === undefined) noteGreatest(checkpoints, fact);
      else mine.checkpointNanoUsd = Math.max(mine.checkpointNanoUsd, wholeNanoUsd(fact.nanoUsd));
    },
    body: (fact: BodyFact) => {
      const { id, part, atMs, sealed, bytes } = fact;
      sums.rows.bodies.push({ exchange_id: id, part, at_ms: Math.floor(atMs), sealed, bytes });
    },
    agent_task: (fact: AgentTaskFact) => agents.task(fact),
    // Goes to the log and to the webhook; nothing of it is kept.
    event: () => undefined,
  };
  for (const fact of facts) {
    // Bodies are told from each other by what they are of, tasks by their own ids.
    if (ended.has(fact.id) && fact.kind !== 'body' && fact.kind !== 'agent_task') continue;
    taken++;
    // The type says which function takes which fact; only the compiler cannot follow it through the table.
    (takers[fact.kind] as (fact: Fact) => void)(fact);
  }
  return {
    ...sums.result(),
    agentTotals: agents.totals(),
    agentTasks: agents.tasks(),
    agentTaskCosts: agents.taskCosts(),
    opened: [...opened.values()].filter(({ fact }) => !ended.has(fact.id)).map((row) => openRow(row, context)),
    checkpoints: [...checkpoints.values()].filter(({ id }) => !ended.has(id)),
    taken,
  };
}

/** One that is read again says less than what came after it. */
function noteGreatest(checkpoints: Map<string, CheckpointFact>, fact: CheckpointFact): void {
  const known = checkpoints.get(attemptOf(fact));
  if (known === undefined || known.nanoUsd < wholeNanoUsd(fact.nanoUsd)) checkpoints.set(attemptOf(fact), fact);
}

function attemptOf({ id, attempt }: { id: string; attempt: number }): string {
  return `${id} ${attempt}`;
}

interface Opened {
  fact: ReserveFact;
  checkpointNanoUsd: number;
}

function openRow({ fact, checkpointNanoUsd }: Opened, { node, thread }: FoldContext): OpenReservationTable {
  return {
    exchange_id: fact.id,
    attempt: fact.attempt,
    node,
    thread,
    floor_nano_usd: fact.floorNanoUsd,
    checkpoint_nano_usd: checkpointNanoUsd,
    fact: JSON.stringify(fact),
  };
}
