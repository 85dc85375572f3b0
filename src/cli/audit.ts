/** `signalbox audit verify`: checks the chain of the audit log, while no server runs, and says what that proves. */
import { type ChainProof, auditKey, proveChain } from '../control/audit-chain.ts';
import { EXIT_CONFIG, StartError } from '../runtime/start-error.ts';
import type { AuditHead } from '../store/ports/audit.ts';
import type { CliIo } from './io.ts';
import { type StoreFlags, openOffline } from './offline-store.ts';

export interface AuditFlags extends StoreFlags {
  /** Heads that were kept elsewhere, each `seq:hash`: those that the server writes into its log, or an earlier run of this command printed. */
  checkpoint?: string[] | undefined;
  /** One JSON object on stdout instead of lines. */
  json?: boolean | undefined;
}

/** Answers the exit code: 1 where the log is not as it was written. */
export async function runAuditVerify(flags: AuditFlags, io: CliIo): Promise<number> {
  try {
    const checkpoints = (flags.checkpoint ?? []).map(checkpointOf);
    const { proof, store } = await prove(flags, checkpoints, io);
    const intact = proof.faults.length === 0;
    if (flags.json === true) io.out(`${JSON.stringify({ intact, ...proof })}\n`);
    else print(proof, store, io);
    return intact ? 0 : 1;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    io.err(`signalbox: ${error.message}\n`);
    return error.exitCode;
  }
}

function checkpointOf(text: string): AuditHead {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined) throw new StartError('a checkpoint is written as seq:hash', EXIT_CONFIG);
  return { seq: Number(seq), hash };
}

async function prove(
  flags: AuditFlags,
  checkpoints: readonly AuditHead[],
  io: CliIo,
): Promise<{ proof: ChainProof; store: string }> {
  const offline = await openOffline(flags, io);
  const { audit } = offline.store;
  try {
    const proof = await proveChain(auditKey(offline.dataDir.pepper), (seq, limit) => audit.after(seq, limit), checkpoints);
    return { proof, store: offline.name };
  } finally {
    await offline.close();
  }
}

const FAULTS: Readonly<Record<ChainProof['faults'][number]['fault'], string>> = {
  gap: 'rows before it are missing',
  link: 'it does not follow the row before it',
  hash: 'it is not as it was written',
  checkpoint: 'the log disagrees with the checkpoint, or ends before it',
};

function print({ rows, head, faults, confirmed }: ChainProof, store: string, io: CliIo): void {
  for (const { seq, fault } of faults) io.err(`row ${seq}: ${FAULTS[fault]}\n`);
  const checked = confirmed === 0 ? '' : ` and ${confirmed} checkpoint${confirmed === 1 ? '' : 's'}`;
  const verdict = faults.length === 0 ? 'as it was written' : 'NOT as it was written';
  io.out(`${store}: ${rows} rows${checked} checked: the log is ${verdict}\n`);
  if (rows > 0) io.out(`its head is ${head.seq}:${head.hash}\n`);
  io.out(LIMITS);
}

const LIMITS = `Proven: no row was changed, inserted, reordered or taken from the middle by somebody without this installation's secret.
Not proven: that nothing was cut off at the end, or written anew by somebody with the secret. For that, hand in a checkpoint that was kept
elsewhere (--checkpoint seq:hash): the server writes one into its log every 1,000 rows and every hour; the head above is one.
`;
