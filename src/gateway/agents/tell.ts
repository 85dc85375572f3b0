/**
 * What main hears of a replica before the caller has an answer, instead of with the fact: what the caller asks next, of whichever worker, must find the agent as
 * it is.
 */
import { witnessOf } from '../../agents/witness.ts';
import type { Exchange } from '../exchange.ts';
import type { AgentWork } from './call.ts';
import type { AgentSide } from './side.ts';

/** An Unhealthy replica has answered the send that was to find out. */
export async function tellTrial(exchange: Exchange, work: AgentWork, side: AgentSide): Promise<void> {
  if (work.trial !== true) return;
  delete work.trial;
  await tell(exchange, work, side, [{ replica: work.replica!.id, verdict: 'ok' }]);
}

/** A call has failed, and not because of what it was. Never rejects: the fact says the same, later. */
export async function tellGone(exchange: Exchange, work: AgentWork, side: AgentSide): Promise<void> {
  const { told = 0, verdicts } = work;
  const news = verdicts.slice(told);
  if (!news.some(({ verdict }) => verdict === 'hard')) return;
  try {
    await tell(exchange, work, side, news);
    work.told = verdicts.length;
  } catch {}
}

async function tell(
  { caller }: Exchange,
  { view, messageHash }: AgentWork,
  side: AgentSide,
  verdicts: AgentWork['verdicts'],
): Promise<void> {
  const call = { generation: view.generation, caller: witnessOf(caller!.scopes), message: messageHash, verdicts };
  await side.ask({ ask: 'observe', agent: view.name, call });
}
