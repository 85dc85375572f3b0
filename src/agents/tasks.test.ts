/** Main's index of tasks while the store cannot tell. */
import { expect, test } from 'vitest';

import type { TaskRecord } from '../core/agent.ts';
import { createTaskIndex } from './tasks.ts';

const down = (): Promise<never> => Promise.reject(new Error('down'));
const record: TaskRecord = {
  agent: 'a',
  task: 't',
  context: 'c',
  replica: '0',
  owner: 'key:1',
  state: 'working',
  createdAtMs: 1,
  updatedAtMs: 1,
};

test('what is new is learnt, and stays whose it is; what nobody remembers is not said to be absent', async () => {
  const index = createTaskIndex({ task: down, tasks: down, taskOfContext: down }, () => 1_000);
  await expect(index.learn(record)).resolves.toEqual(record);
  const other = await index.learn({ ...record, owner: 'key:2', state: 'completed', updatedAtMs: 2 });
  expect(other).toMatchObject({ owner: 'key:1', state: 'completed' });
  await expect(index.task('a', 't')).resolves.toMatchObject({ owner: 'key:1' });
  await expect(index.taskOfContext('a', 'c')).resolves.toMatchObject({ task: 't' });
  await expect(index.task('a', 'other')).rejects.toThrow('down');
});
