/** What was said in conversations with agents that are models, so that the next message finds it. Bounded in every direction, and of this process only. */
import { type ChatSaid, withoutFiles } from './message.ts';

export interface Conversations {
  /** The oldest first. */
  of: (key: string) => readonly ChatSaid[];
  add: (key: string, said: readonly ChatSaid[]) => void;
}

export interface ConversationBounds {
  messages: number;
  /** Of one conversation, as JSON. */
  bytes: number;
  /** Of all. */
  allBytes: number;
  /** Since its last word. */
  keptMs: number;
}

const BOUNDS: ConversationBounds = {
  messages: 64,
  bytes: 256 * 1024,
  allBytes: 64 * 1024 * 1024,
  keptMs: 86_400_000,
};

interface Kept {
  said: { message: ChatSaid; bytes: number }[];
  bytes: number;
  atMs: number;
}

export function createConversations(nowMs: () => number, bounds = BOUNDS): Conversations {
  /** Those that were silent longest in front. */
  const kept = new Map<string, Kept>();
  let allBytes = 0;
  const drop = (key: string): void => {
    allBytes -= kept.get(key)?.bytes ?? 0;
    kept.delete(key);
  };
  const forget = (): void => {
    const beforeMs = nowMs() - bounds.keptMs;
    for (const [key, { atMs }] of kept) {
      if (atMs > beforeMs && allBytes <= bounds.allBytes) return;
      drop(key);
    }
  };
  return {
    of(key) {
      forget();
      return kept.get(key)?.said.map(({ message }) => message) ?? [];
    },
    add(key, said) {
      const all = [...(kept.get(key)?.said ?? []), ...said.map((message) => measured(message, bounds))];
      const latest = latestOf(all, bounds);
      const bytes = latest.reduce((sum, each) => sum + each.bytes, 0);
      drop(key);
      kept.set(key, { said: latest, bytes, atMs: nowMs() });
      allBytes += bytes;
      forget();
    },
  };
}

/** Images are said once where they are larger than a conversation may be. */
function measured(message: ChatSaid, { bytes: most }: ConversationBounds): Kept['said'][number] {
  const bytes = Buffer.byteLength(JSON.stringify(message));
  if (bytes <= most / 2 || typeof message.content === 'string') return { message, bytes };
  const short = withoutFiles(message);
  return { message: short, bytes: Buffer.byteLength(JSON.stringify(short)) };
}

/** What fits; no conversation begins with an answer. */
function latestOf(all: Kept['said'], { messages, bytes: most }: ConversationBounds): Kept['said'] {
  let bytes = 0;
  let from = all.length;
  while (from > 0 && all.length - from < messages && bytes + all[from - 1]!.bytes <= most) bytes += all[--from]!.bytes;
  const latest = all.slice(from);
  return latest[0]?.message.role === 'assistant' ? latest.slice(1) : latest;
}
