/** The global ways out of a process, none of which asks egress.ts. */
const WAYS_OUT = ['fetch', 'WebSocket', 'EventSource'] as const;

/** Makes the global ways out throw, in this thread. Main and workers call it first of all. Pure addition: nothing of ours uses them. */
export function guardGlobals(scope: object = globalThis): void {
  for (const name of WAYS_OUT) {
    const refuse = function refuse(): never {
      throw new Error(`${name} is not available: outbound connections go through upstream/egress.ts`);
    };
    // To define what is there already would first make it: Node then loads a client that nobody uses, 50 ms of each thread's start.
    Reflect.deleteProperty(scope, name);
    Object.defineProperty(scope, name, { value: refuse, configurable: false, writable: false });
  }
}
