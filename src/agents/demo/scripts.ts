/** What the demo agents do: plain steps, without the words of the protocol. */

export type Step =
  /** A piece of the answer. */
  | { say: string }
  /** It waits for the caller, with this question. */
  | { ask: string };

export interface DemoAgent {
  name: string;
  description: string;
  skill: { id: string; name: string; description: string; tags: string[]; examples: string[] };
  /** `asked`: what was said to the task so far, the first thing first. */
  run: (asked: readonly string[]) => Iterable<Step>;
}

export const DEMO_AGENTS: readonly DemoAgent[] = [
  {
    name: 'demo-echo',
    description: 'Says what it was told, word by word. Built in, so that there is an agent without any account.',
    skill: {
      id: 'echo',
      name: 'Echo',
      description: 'Repeats a text',
      tags: ['demo', 'text'],
      examples: ['Say hello to the team'],
    },
    *run(asked) {
      for (const word of (asked.at(-1) ?? '').split(/(?<=\s)/)) yield { say: word };
    },
  },
  {
    name: 'demo-travel',
    description: 'Plans a journey, and asks where it should lead: a task that waits for its caller.',
    skill: {
      id: 'plan-journey',
      name: 'Plan a journey',
      description: 'Asks for the destination, then answers with a plan',
      tags: ['demo', 'planning'],
      examples: ['Plan a weekend for two'],
    },
    *run([wish = '', place]) {
      if (place === undefined) yield { ask: 'Where to?' };
      else for (const line of planFor(wish, place)) yield { say: line };
    },
  },
];

function planFor(wish: string, place: string): string[] {
  return [
    `A journey to ${place}, as you asked: ${wish}\n`,
    '1. There by the morning train.\n',
    '2. A walk and a meal.\n',
    '3. Back by the evening train.',
  ];
}
