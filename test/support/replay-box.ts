/** A running Signalbox behind which every given recording stands as a model of its own name. */
import { catalogRow } from '../../src/providers/catalog.ts';
import type { RecordedExchange } from './recordings.ts';
import { type ReplayRequest, type ReplayUpstream, startReplayUpstream } from './replay-upstream.ts';
import { type Signalbox, startSignalbox } from './signalbox.ts';

/** The key that clients present. */
export const CLIENT_KEY = 'a-key-of-real-clients';

export interface ReplayBox {
  url: string;
  /** Where OpenAI's clients look: with `/v1`. */
  openaiUrl: string;
  upstream: ReplayUpstream;
  /** The last request for this recording that reached the upstream, its body parsed. */
  sentFor: (id: string) => SentRequest;
  /** How many requests for this recording reached the upstream. */
  countFor: (id: string) => number;
  stop: () => Promise<void>;
}

export interface SentRequest extends Omit<ReplayRequest, 'body'> {
  body: Record<string, unknown>;
}

export async function startReplayBox(recordings: readonly RecordedExchange[]): Promise<ReplayBox> {
  const upstream = await startReplayUpstream(recordings);
  const box = await startSignalbox({
    config: configOf(recordings, upstream.url),
    env: { CLIENT_KEY, UPSTREAM_KEY: 'upstream-key' },
  });
  const requestsFor = (id: string): ReplayRequest[] => upstream.requests.filter(({ recording }) => recording === id);
  return {
    url: box.url,
    openaiUrl: `${box.url}/v1`,
    upstream,
    sentFor(id) {
      const sent = requestsFor(id).at(-1);
      if (sent === undefined) throw new Error(`nothing was sent for ${id}`);
      return { ...sent, body: JSON.parse(sent.body.toString('utf8')) as Record<string, unknown> };
    },
    countFor: (id) => requestsFor(id).length,
    stop: () => stopAll(box, upstream),
  };
}

async function stopAll(box: Signalbox, upstream: ReplayUpstream): Promise<void> {
  await box.stop();
  await upstream.close();
}

function configOf(recordings: readonly RecordedExchange[], url: string): string {
  const providers = recordings.map((recording, at) => {
    const type = typeOf(recording);
    const base = type === 'anthropic' ? `${url}/${recording.id}` : `${url}/${recording.id}/v1`;
    return [`at-${at}`, { type, base_url: base, api_key: '${env:UPSTREAM_KEY}' }] as const;
  });
  return JSON.stringify({
    server: { workers: 1 },
    providers: Object.fromEntries(providers),
    models: recordings.map((recording, at) => ({
      name: recording.id,
      targets: [{ provider: `at-${at}`, model: upstreamModelOf(recording) }],
    })),
    keys: [{ name: 'client', key: '${env:CLIENT_KEY}', models: ['*'] }],
  });
}

/** The catalog's row of the provider, under the recordings' name for it or another. */
function typeOf({ provider }: RecordedExchange): string {
  const id = provider === 'llama-cpp' ? 'llamacpp' : provider;
  return catalogRow(id) === undefined ? 'openai-compatible' : id;
}

function upstreamModelOf({ model, request, response }: RecordedExchange): string {
  return (request.body?.['model'] ?? model ?? response.body?.['model']) as string;
}
