/** The log of a running Signalbox, read as its lines: one per exchange, found by the request's id. */
import type { Signalbox } from './signalbox.ts';

export type LogLine = Record<string, unknown>;

export interface ExchangeLog {
  /** All lines so far that are JSON. */
  lines: () => LogLine[];
  /** The line of this exchange; waits for it, since facts reach the log after the answer. Throws after 10 s. */
  of: (requestId: string) => Promise<LogLine>;
}

const LATEST_MS = 10_000;

export function exchangeLog(box: Pick<Signalbox, 'stderr'>): ExchangeLog {
  const lines: LogLine[] = [];
  const byId = new Map<string, LogLine>();
  let read = 0;

  const take = (): void => {
    const text = box.stderr();
    const end = text.lastIndexOf('\n') + 1;
    if (end <= read) return;
    for (const row of text.slice(read, end).split('\n')) {
      if (!row.startsWith('{')) continue;
      const line = JSON.parse(row) as LogLine;
      lines.push(line);
      if (line['msg'] === 'exchange') byId.set(String(line['request_id']), line);
    }
    read = end;
  };

  return {
    lines() {
      take();
      return lines;
    },
    async of(requestId) {
      const deadline = performance.now() + LATEST_MS;
      for (;;) {
        take();
        const line = byId.get(requestId);
        if (line !== undefined) return line;
        if (performance.now() > deadline)
          throw new Error(`no line of exchange ${requestId} in the log:\n${box.stderr().slice(-2_000)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}
