import { defineConfig } from 'vitest/config';

/** `unit`: beside the sources, in seconds. `whole`: conformance, e2e and pins, which start real servers. `long`: proofs that take their time, by `npm run test:long`. */
export default defineConfig({
  test: {
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      {
        // Not isolated: a third of the time goes into loading the same modules anew, and modules keep no state here.
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/architecture.test.ts'],
          testTimeout: 20_000,
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'whole',
          globalSetup: './test/support/one-piece.ts',
          include: ['test/{conformance,e2e,pins,docs,store}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: true,
          // A third of the time is spent waiting: for timeouts, restarts, and a second's limits.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'long',
          globalSetup: './test/support/one-piece.ts',
          include: ['test/long/**/*.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
