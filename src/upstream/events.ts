/** The events of an upstream's stream, one after another, for whoever has something to do between two of them. */
import { GatewayError } from '../core/errors.ts';
import { createSseSplitter } from '../lib/sse-split.ts';
import { badResponse } from './failure.ts';
import type { UpstreamBody } from './types.ts';

/**
 * Whole events as they came, terminators included. The upstream is paused while the reader is busy. Throws the GatewayError that ended the body,
 * upstream_incomplete where it ended within an event, upstream_bad_response where an event is larger than `maxEventBytes`. Leaving early aborts the body.
 */
export async function* readEvents(
  body: UpstreamBody,
  { maxEventBytes }: { maxEventBytes: number },
): AsyncGenerator<Buffer, void, undefined> {
  const splitter = createSseSplitter({ maxEventBytes });
  let waiting: Buffer[] = [];
  let end: { error?: GatewayError } | undefined;
  let wake = (): void => {};
  let isPaused = false;
  body.consume({
    data(chunk) {
      const events = splitter.push(chunk);
      if (splitter.overflowed) {
        end = { error: badResponse(`one of its events is larger than ${maxEventBytes} bytes`) };
        body.abort();
      } else waiting.push(...events);
      wake();
      isPaused = waiting.length > 0;
      return !isPaused;
    },
    end() {
      end ??= splitter.pending > 0 ? { error: new GatewayError('upstream_incomplete') } : {};
      wake();
    },
    fail(error) {
      end ??= { error };
      wake();
    },
  });
  try {
    for (;;) {
      const events = waiting;
      waiting = [];
      yield* events;
      if (waiting.length > 0) continue;
      if (end?.error !== undefined) throw end.error;
      if (end !== undefined) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      if (isPaused) {
        isPaused = false;
        body.resume();
      }
      if (waiting.length === 0 && end === undefined) await promise;
    }
  } finally {
    if (end === undefined) body.abort();
  }
}

/** The `data` of one event, its lines joined; undefined: a comment, or an event without any. */
export function dataOf(event: Buffer): string | undefined {
  const lines = event.toString('utf8').split(/\r\n|\n|\r/);
  const data = lines.flatMap((line) => (line.startsWith('data:') ? [line.slice(line.startsWith('data: ') ? 6 : 5)] : []));
  return data.length === 0 ? undefined : data.join('\n');
}
