/** `signalbox verify`: recomputes every counter of money from the ledger's entries and says where they differ. While no server runs. */
import { formatUsd } from '../core/money.ts';
import { StartError } from '../runtime/start-error.ts';
import type { LedgerDifference, LedgerProof } from '../store/ports/ledger.ts';
import type { CliIo } from './io.ts';
import { type StoreFlags, openOffline } from './offline-store.ts';

export interface VerifyFlags extends StoreFlags {
  /** One JSON object on stdout instead of lines: LedgerProof. */
  json?: boolean | undefined;
}

/** Answers the exit code: 1 where a counter differs. */
export async function runVerify(flags: VerifyFlags, io: CliIo): Promise<number> {
  try {
    const { proof, store } = await prove(flags, io);
    if (flags.json === true) io.out(`${JSON.stringify(proof)}\n`);
    else print(proof, store, io);
    return proof.differences.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    io.err(`signalbox: ${error.message}\n`);
    return error.exitCode;
  }
}

async function prove(flags: StoreFlags, io: CliIo): Promise<{ proof: LedgerProof; store: string }> {
  const offline = await openOffline(flags, io);
  try {
    return { proof: await offline.store.ledger.verify(), store: offline.name };
  } finally {
    await offline.close();
  }
}

function print({ entries, counters, nanoUsd, sinceMs, differences }: LedgerProof, store: string, io: CliIo): void {
  for (const difference of differences) io.err(`${lineOf(difference)}\n`);
  const since = sinceMs === 0 ? '' : `, from ${new Date(sinceMs).toISOString()} on`;
  const verdict = differences.length === 0 ? 'all are the sum of their entries' : 'some are not the sum of their entries';
  io.out(`${store}: ${entries} entries of ${formatUsd(nanoUsd)} USD, ${counters} counters${since}: ${verdict}\n`);
}

function lineOf({ scope, quarterMs, countedNanoUsd, recordedNanoUsd }: LedgerDifference): string {
  const at = new Date(quarterMs).toISOString();
  return `${scope} at ${at}: the counter says ${formatUsd(countedNanoUsd)} USD, the entries ${formatUsd(recordedNanoUsd)}`;
}
