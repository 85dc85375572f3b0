/** Calls of the store across a thread: any method of any group by its name, arguments and answers by structured clone. */
import { type Store, StoreError, type StoreErrorCode, type StoreGroup } from '../store/store.ts';

export interface StoreCall {
  type: 'call';
  id: number;
  group: string;
  method: string;
  args: unknown[];
}

export type StoreAnswer =
  | { type: 'answer'; id: number; value: unknown }
  | { type: 'refusal'; id: number; code: StoreErrorCode; message: string };

type Groups = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;
/** A MessagePort or a Worker. */
interface Port {
  postMessage: (message: unknown) => void;
}

/** Answers one call. Only own functions of own groups can be named. */
export async function answerCall(groups: Groups, { id, group, method, args }: StoreCall, port: Port): Promise<void> {
  try {
    const functions = Object.hasOwn(groups, group) ? groups[group] : undefined;
    const called = functions !== undefined && Object.hasOwn(functions, method) ? functions[method] : undefined;
    if (typeof called !== 'function') throw new StoreError('failed', `the store has no ${group}.${method}`);
    const value = await (called as (...args: unknown[]) => Promise<unknown>)(...args);
    port.postMessage({ type: 'answer', id, value } satisfies StoreAnswer);
  } catch (error) {
    const { code, message } = error instanceof StoreError ? error : new StoreError('failed', 'the store failed', error);
    port.postMessage({ type: 'refusal', id, code, message } satisfies StoreAnswer);
  }
}

/** The near end. Calls are refused with `store_down` while nothing is connected. */
export interface StoreClient {
  /** `close` only lets go; who started the thread ends it. */
  store: Store;
  connect(port: Port): void;
  /** The thread is gone: calls under way are refused. */
  disconnect(): void;
  take(answer: StoreAnswer): void;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: StoreError) => void;
  timer: NodeJS.Timeout;
}

/** The database has its own, shorter patience; this is for a thread that stands still with its disk. */
const ANSWER_MS = 60_000;

/** `answerMs`: another patience than the product's, for tests. */
export function createStoreClient(answerMs = ANSWER_MS): StoreClient {
  const waiting = new Map<number, Waiting>();
  let port: Port | undefined;
  let lastId = 0;

  const call = (group: string, method: string, args: unknown[]): Promise<unknown> => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (port === undefined) reject(gone());
    else {
      const id = ++lastId;
      const giveUp = (): void => {
        waiting.delete(id);
        reject(new StoreError('store_down', 'the store does not answer'));
      };
      waiting.set(id, { resolve, reject, timer: setTimeout(giveUp, answerMs).unref() });
      port.postMessage({ type: 'call', id, group, method, args } satisfies StoreCall);
    }
    return promise;
  };
  const disconnect = (): void => {
    port = undefined;
    for (const { reject, timer } of waiting.values()) {
      clearTimeout(timer);
      reject(gone());
    }
    waiting.clear();
  };
  return {
    store: storeOf(call, disconnect),
    connect: (next) => {
      port = next;
    },
    disconnect,
    take: (answer) => {
      const asked = waiting.get(answer.id);
      waiting.delete(answer.id);
      clearTimeout(asked?.timer);
      if (answer.type === 'answer') asked?.resolve(answer.value);
      else asked?.reject(new StoreError(answer.code, answer.message));
    },
  };
}

function gone(): StoreError {
  return new StoreError('store_down', 'the store is not there now');
}

type Call = (group: string, method: string, args: unknown[]) => Promise<unknown>;

/** Every name is a group, and every name in it a method: the types say which exist, the far end checks. Neither can be awaited by mistake. */
function storeOf(call: Call, disconnect: () => void): Store {
  const close = (): Promise<void> => Promise.resolve(disconnect());
  return new Proxy({} as Store, {
    get: (_, name) => {
      if (name === 'close') return close;
      return typeof name === 'string' && name !== 'then' ? groupOf(call, name as StoreGroup) : undefined;
    },
  });
}

function groupOf(call: Call, group: StoreGroup): object {
  return new Proxy(
    {},
    {
      get: (_, method) =>
        typeof method === 'string' && method !== 'then' ? (...args: unknown[]) => call(group, method, args) : undefined,
    },
  );
}
