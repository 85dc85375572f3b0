/** Suites of the store on both databases. Without PostgreSQL its half is skipped aloud; with `CI=true` it fails. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, describe, it } from 'vitest';

import { openStore } from '../../src/store/sql/open.ts';
import type { Store } from '../../src/store/store.ts';
import { type RealPostgres, ask, noPostgres, startPostgres } from './postgres.ts';

export interface TestStore {
  store: Store;
  /** What `openStore` was given: another one may be opened on the same. */
  url: string;
  /** One statement past the store. */
  query: (statement: string) => Promise<Record<string, unknown>[]>;
}

export type StoreKind = 'SQLite' | 'PostgreSQL';

/** `open`: a new, empty store, closed after the test. */
export function forEachStore(suite: (kind: StoreKind, open: () => Promise<TestStore>) => void): void {
  describe('SQLite', () => {
    const folders: string[] = [];
    afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));
    suite(
      'SQLite',
      opener(() => {
        folders.push(mkdtempSync(join(tmpdir(), 'signalbox-store-')));
        return Promise.resolve(join(folders.at(-1)!, 'store.db'));
      }, askSqlite),
    );
  });
  describePostgres((postgres) =>
    suite(
      'PostgreSQL',
      opener(() => postgres().newDatabase(), ask),
    ),
  );
}

/** For suites that do things to the server itself. */
export function describePostgres(suite: (postgres: () => RealPostgres) => void): void {
  const why = noPostgres();
  if (why !== undefined && process.env.CI !== 'true') {
    describe('PostgreSQL', () => it.skip(why, () => undefined));
    return;
  }
  describe('PostgreSQL', () => {
    let postgres: RealPostgres | undefined;
    beforeAll(async () => {
      postgres = await startPostgres();
    });
    afterAll(() => postgres?.remove());
    suite(() => postgres!);
  });
}

function opener(newUrl: () => Promise<string>, query: (url: string, statement: string) => Promise<Record<string, unknown>[]>) {
  const stores: Store[] = [];
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });
  return async (): Promise<TestStore> => {
    const url = await newUrl();
    const store = await openStore(url);
    stores.push(store);
    return { store, url, query: (statement) => query(url, statement) };
  };
}

function askSqlite(path: string, statement: string): Promise<Record<string, unknown>[]> {
  const db = new DatabaseSync(path);
  try {
    return Promise.resolve(db.prepare(statement).all());
  } finally {
    db.close();
  }
}
