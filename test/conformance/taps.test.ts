/** What a tap calls dull must be dull: watching a stream chunk by chunk tells the same as watching it event by event. */
import { expect, it } from 'vitest';

import type { StreamTap } from '../../src/core/tap.ts';
import { messagesTap } from '../../src/dialects/anthropic-messages/tap.ts';
import { openaiChatTap } from '../../src/dialects/openai-chat/tap.ts';
import { responsesTap } from '../../src/dialects/openai-responses/usage.ts';
import { createSseSplitter } from '../../src/lib/sse-split.ts';
import { describeRecorded, readRecordings } from '../support/recordings.ts';

const TAPS: Record<string, (stripUsage: boolean) => StreamTap> = {
  'openai.chat': (stripUsage) => openaiChatTap({ stripUsage }),
  'openai.responses': responsesTap,
  'anthropic.messages': messagesTap,
};

function eventsOf(text: string): Buffer[] {
  return createSseSplitter({ maxEventBytes: 1e8 }).push(Buffer.from(text));
}

/** Everything a tap tells, and what went to the client. */
function told(tap: StreamTap, bytes: Buffer[]): unknown {
  const { usage, finish, model, state, failure, sawContent } = tap;
  return { usage, finish, model, state, failure, sawContent, bytes: Buffer.concat(bytes).toString() };
}

function watch(tap: StreamTap, events: Buffer[], perChunk: number): { told: unknown; skipped: number } {
  const out: Buffer[] = [];
  let skipped = 0;
  for (let at = 0; at < events.length; at += perChunk) {
    const chunk = events.slice(at, at + perChunk);
    if (perChunk > 0 && tap.isDull(Buffer.concat(chunk))) {
      skipped += chunk.length;
      out.push(...chunk);
      continue;
    }
    for (const event of chunk) {
      const verdict = tap.see(event);
      if (verdict !== false) out.push(verdict === true ? event : verdict);
    }
  }
  return { told: told(tap, out), skipped };
}

function watchPlainly(tap: StreamTap, events: Buffer[]): unknown {
  const out: Buffer[] = [];
  for (const event of events) {
    const verdict = tap.see(event);
    if (verdict !== false) out.push(verdict === true ? event : verdict);
  }
  return told(tap, out);
}

describeRecorded('taps over recorded streams', () => {
  const streams = readRecordings().filter(({ endpoint, response }) => response.kind === 'sse' && endpoint in TAPS);
  let skippedInAll = 0;

  it.each(streams.map((recording) => [recording.id, recording] as const))('%s', (_id, { endpoint, response }) => {
    const events = eventsOf(response.text!);
    for (const stripUsage of [false, true]) {
      const plain = watchPlainly(TAPS[endpoint]!(stripUsage), events);
      for (const perChunk of [1, 2, 3, 10, 1000]) {
        const { told, skipped } = watch(TAPS[endpoint]!(stripUsage), events, perChunk);
        expect(told).toEqual(plain);
        skippedInAll += skipped;
      }
    }
  });

  it('finds much of what is recorded dull', () => {
    expect(streams.length).toBeGreaterThan(25);
    expect(skippedInAll).toBeGreaterThan(1000);
  });
});
