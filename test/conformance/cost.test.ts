/**
 * What recorded answers cost: our dialects' usage times our price, against the price list's own library with its own reading of the
 * provider's usage.
 */
import type { Usage as ListUsage } from '@pydantic/genai-prices';
import { calcPrice, extractUsage, findProvider } from '@pydantic/genai-prices';
import { expect, it } from 'vitest';

import type { Usage } from '../../src/core/usage.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages/dialect.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat/dialect.ts';
import { costNanoUsd } from '../../src/ledger/cost.ts';
import { createPriceBook } from '../../src/ledger/price.ts';
import { catalogRow } from '../../src/providers/catalog.ts';
import type { RecordedExchange } from '../support/recordings.ts';
import { describeRecorded, readRecordings } from '../support/recordings.ts';

type Body = Record<string, unknown>;

const NOW_MS = Date.parse('2026-11-22T12:00:00Z');
const book = await createPriceBook({ nowMs: () => NOW_MS });

const SURFACES: Readonly<Record<string, { dialect: Dialect; flavors: readonly string[] }>> = {
  'openai.chat': { dialect: openaiChat, flavors: ['chat', 'default'] },
  'openai.embeddings': { dialect: openaiChat, flavors: ['embeddings'] },
  'anthropic.messages': { dialect: anthropicMessages, flavors: ['default', 'anthropic'] },
};

interface Measured {
  usage: Usage | undefined;
  /** The answer as a unary body, for the library's extractors. */
  body: Body;
}

function measure({ response }: RecordedExchange, dialect: Dialect): Measured {
  if (response.kind === 'json') {
    const body = response.body ?? {};
    return { usage: dialect.usage.summarize(body).usage, body };
  }
  const tap = dialect.usage.tap({ stripUsage: false });
  const events = (response.text ?? '').split(/(?<=\r?\n\r?\n)/);
  for (const event of events) tap.see(Buffer.from(event));
  return { usage: tap.usage, body: { model: tap.model, usage: usageOfEvents(events) } };
}

/** The usage objects of a stream's events, later fields over earlier ones, wherever they stand. */
function usageOfEvents(events: readonly string[]): Body {
  const bodies = events.flatMap((event) =>
    [...event.matchAll(/^data: ?(\{.*\})\r?$/gm)].map((match) => JSON.parse(match[1] ?? '') as Body),
  );
  const usages = bodies.flatMap((body) => [
    body.usage,
    (body.x_groq as Body | undefined)?.usage,
    (body.message as Body | undefined)?.usage,
  ]);
  return Object.assign({}, ...usages.filter((usage) => typeof usage === 'object')) as Body;
}

function oracleUsd(
  body: Body,
  model: string,
  { providerId, flavors }: { providerId: string; flavors: readonly string[] },
): number | undefined {
  const provider = findProvider({ providerId });
  const flavor = flavors.find((name) => provider?.extractors?.some((extractor) => extractor.api_flavor === name));
  if (provider === undefined || flavor === undefined) return undefined;
  const { usage }: { usage: ListUsage } = extractUsage(provider, body, flavor);
  return calcPrice(usage, model, { providerId, timestamp: new Date(NOW_MS) })?.total_price;
}

describeRecorded('the cost of recorded answers', () => {
  const recordings = readRecordings().flatMap((recording) => {
    const surface = SURFACES[recording.endpoint];
    const row = catalogRow(recording.provider);
    if (surface === undefined || row?.priceProvider === undefined || recording.response.status !== 200) return [];
    return [{ id: recording.id, recording, ...surface, priceProvider: row.priceProvider, providerApiUrl: row.baseUrl ?? '' }];
  });
  const priced: string[] = [];

  it.each(recordings)('$id', ({ id, recording, dialect, flavors, priceProvider, providerApiUrl }) => {
    // As in the gateway: the model that was asked for has the price, not what the answer calls it.
    const upstreamModel = typeof recording.request.body?.model === 'string' ? recording.request.body.model : recording.model;
    const { usage, body } = measure(recording, dialect);
    const state = book.priceOf({ priceProvider, providerApiUrl, upstreamModel });
    if (usage === undefined || state.status !== 'priced') return;
    const expected = oracleUsd(body, upstreamModel, { providerId: priceProvider, flavors });
    if (expected === undefined) return;
    priced.push(id);
    expect(Math.abs(costNanoUsd(usage, state.price) / 1e9 - expected)).toBeLessThanOrEqual(1e-9);
  });

  it('covers all but a few: models the list does not know, providers it cannot read, streams without usage', () => {
    expect(priced.length).toBeGreaterThan(recordings.length * 0.85);
  });
});
