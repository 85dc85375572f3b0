/**
 * The one loader of recorded provider traffic. The recordings are not part of this repository: `SIGNALBOX_RECORDINGS` names their
 * folder, else they are looked for beside the repository. Without them tests are skipped aloud; with `CI=true` they fail.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'vitest';

/** One recorded HTTP exchange (`exchanges/`). */
export interface RecordedExchange {
  id: string;
  provider: string;
  /** `openai.chat`, `openai.responses`, `anthropic.messages`, … */
  endpoint: string;
  model: string;
  features: string[];
  request: { method: string; path: string; url: string; headers: Record<string, string>; body: Record<string, unknown> | null };
  response: {
    status: number;
    headers: Record<string, string>;
    kind: 'json' | 'sse' | 'ndjson' | 'aws-eventstream' | 'text';
    /** `json`. */
    body?: Record<string, unknown>;
    /** `sse`, `ndjson`, `text`: faithful to the byte. */
    text?: string;
    /** `aws-eventstream`. */
    base64?: string;
    /** Key order and white space of the JSON are not the provider's. */
    reserialised?: boolean;
  };
}

export type RecordingFolder = 'exchanges' | 'parity' | 'answers' | 'clients';

const RECORDINGS_DIR = resolve(process.env.SIGNALBOX_RECORDINGS ?? join(import.meta.dirname, '../../../shared/recordings'));

/** Everything in a folder, parsed, in the order of the file names. Throws where the recordings are missing: call it inside `describeRecorded`. */
export function readRecordings(folder?: 'exchanges'): RecordedExchange[];
export function readRecordings<T>(folder: RecordingFolder): T[];
export function readRecordings(folder: RecordingFolder = 'exchanges'): unknown[] {
  const path = join(RECORDINGS_DIR, folder);
  return readdirSync(path)
    .filter((name) => name.endsWith('.json') && name !== 'index.json')
    .sort()
    .map((name) => JSON.parse(readFileSync(join(path, name), 'utf8')) as unknown);
}

/** `describe` for tests that need recordings; `body` only runs where they exist. */
export function describeRecorded(name: string, body: () => void): void {
  if (existsSync(RECORDINGS_DIR)) {
    describe(name, body);
    return;
  }
  const why = `no recordings at ${RECORDINGS_DIR} (set SIGNALBOX_RECORDINGS)`;
  describe(name, () => {
    if (process.env.CI === 'true') {
      it('needs recordings', () => {
        throw new Error(why);
      });
    } else it.skip(why, () => undefined);
  });
}
