import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Signalbox, runSignalbox, startSignalbox } from '../support/signalbox.ts';
import { ask } from '../support/ask.ts';

const ADMIN_KEY = 'admin-key-zyxwvutsrq-0123456789';
const CONFIG = `
server: { workers: 1 }
providers: { lab: { type: openai-compatible, base_url: "http://127.0.0.1:9/v1", api_key: none } }
models: [{ name: gpt, targets: [{ provider: lab, model: x, price: free }] }]
admin: { key: "\${env:ADMIN_KEY}" }
`;

interface Entry {
  seq: number;
  actor: string;
  via: string;
  action: string;
  outcome: string;
  target: string | null;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
  error: string | null;
  ip: string;
  request_id: string;
  hash: string;
}

let box: Signalbox;

beforeAll(async () => {
  box = await startSignalbox({ config: CONFIG, env: { ADMIN_KEY } });
});
afterAll(() => box.stop());

async function call(method: string, path: string, body?: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const headers = { authorization: `Bearer ${ADMIN_KEY}` };
  const reply = await ask(`${box.url}/admin/v1${path}`, { method: method as 'GET', headers, ...(body && { body }) });
  return { status: reply.status, body: JSON.parse(reply.text) as Record<string, unknown> };
}

async function log(query = ''): Promise<Entry[]> {
  return (await call('GET', `/audit?limit=1000${query}`)).body.data as Entry[];
}

describe('the audit log', () => {
  test('says who changed what from what to what, before the answer, and no secret', async () => {
    const { body: key } = await call('POST', '/keys', { name: 'first', limits: { rpm: 5 }, metadata: { team: 'red' } });
    const { body: rotated } = await call('POST', `/keys/${String(key.id)}/rotate`, { grace_s: 60 });
    await call('PATCH', `/keys/${String(key.id)}`, { limits: { rpm: 9 } });
    await call('DELETE', `/keys/${String(key.id)}`);
    const entries = (await log()).reverse();
    expect(entries.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual(
      ['key.create', 'key.rotate', 'key.update', 'key.delete'].flatMap((action) => [`${action} begun`, `${action} done`]),
    );
    const target = `key:${String(key.id)}`;
    const [, created, , , , updated, , deleted] = entries;
    expect(created).toMatchObject({
      actor: 'root',
      via: 'admin_key',
      target,
      before: null,
      after: { name: 'first', limits: { rpm: 5 } },
      ip: '127.0.0.1',
    });
    expect(created!.request_id).toMatch(/^req_/);
    expect(updated).toMatchObject({ target, before: { limits: { rpm: 5 } }, after: { limits: { rpm: 9 } } });
    expect(deleted).toMatchObject({ target, before: { limits: { rpm: 9 } }, after: null });
    const text = JSON.stringify(entries);
    for (const secret of [key.key, rotated.key]) expect(text).not.toContain(String(secret));
    expect(text).not.toMatch(/digest/);
  });

  test('what was refused after it began stands there as failed', async () => {
    await call('POST', '/orgs', { name: 'twice' });
    expect((await call('POST', '/orgs', { name: 'twice' })).status).toBe(409);
    expect(await log('&outcome=failed')).toMatchObject([{ action: 'org.create', error: 'conflict' }]);
  });

  test('reading leaves no trace, and neither does what was refused before it began', async () => {
    const [last] = await log();
    await call('GET', '/keys');
    expect((await call('POST', '/keys', { nonsense: 1 })).status).toBe(400);
    expect((await call('GET', '/orgs/org_nothing')).status).toBe(404);
    expect((await log())[0]!.seq).toBe(last!.seq);
  });

  test('pages follow each other without gap or overlap', async () => {
    const all = (await log()).map(({ seq }) => seq);
    const seen: number[] = [];
    let after = '';
    do {
      const { body } = await call('GET', `/audit?limit=3${after}`);
      seen.push(...(body.data as Entry[]).map(({ seq }) => seq));
      after = typeof body.next === 'string' ? `&after=${body.next}` : '';
    } while (after !== '');
    expect(seen).toEqual(all);
  });
});

test('a store that cannot be written refuses the action before it is taken', async () => {
  const path = `${box.dataDir}/store.db`;
  const { body: org } = await call('POST', '/orgs', { name: 'kept' });
  const blocker = new DatabaseSync(path);
  blocker.exec('BEGIN IMMEDIATE');
  try {
    const { status, body } = await call('PATCH', `/orgs/${String(org.id)}`, { name: 'changed' });
    expect({ status, body }).toMatchObject({ status: 503, body: { error: { code: 'store_down' } } });
  } finally {
    blocker.exec('ROLLBACK');
    blocker.close();
  }
  expect((await call('GET', `/orgs/${String(org.id)}`)).body.name).toBe('kept');
});

test('an audit log that alone cannot be written refuses the action too', async () => {
  const { body: org } = await call('POST', '/orgs', { name: 'audited' });
  const db = new DatabaseSync(`${box.dataDir}/store.db`, { timeout: 5_000 });
  db.exec("CREATE TRIGGER no_audit BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'full'); END");
  try {
    const refused = await call('DELETE', `/orgs/${String(org.id)}`);
    expect(refused).toMatchObject({ status: 503, body: { error: { code: 'store_down' } } });
    expect((await call('GET', `/orgs/${String(org.id)}`)).status).toBe(200);
  } finally {
    db.exec('DROP TRIGGER no_audit');
    db.close();
  }
  expect((await call('DELETE', `/orgs/${String(org.id)}`)).status).toBe(200);
});

describe('signalbox audit verify', () => {
  let head = '';

  beforeAll(async () => {
    const { body } = await call('GET', '/audit/verify');
    expect(body).toMatchObject({ intact: true, faults: [] });
    const { seq, hash } = body.head as { seq: number; hash: string };
    head = `${seq}:${hash}`;
  });

  const verify = (...args: string[]) =>
    runSignalbox(['audit', 'verify', '--data', box.dataDir, '--config', box.configPath, ...args], { env: { ADMIN_KEY } });

  test('not while a server runs: that one answers itself', async () => {
    const { code, stderr } = await verify();
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('in use by another Signalbox') });
    expect((await call('GET', `/audit/verify?checkpoint=${head}`)).body).toMatchObject({ intact: true });
    expect((await call('GET', `/audit/verify?checkpoint=1:${'ab'.repeat(32)}`)).body).toMatchObject({
      intact: false,
      faults: [{ seq: 1, fault: 'checkpoint' }],
    });
  });

  test('finds an intact log intact, and a changed, holed or shortened one not; says what it cannot prove', async () => {
    box.process.kill('SIGTERM');
    await box.exited;
    const intact = await verify('--checkpoint', head);
    expect(intact).toMatchObject({ code: 0, stdout: expect.stringContaining('as it was written') });
    expect(intact.stdout).toContain('Not proven');
    expect(JSON.parse((await verify('--json')).stdout)).toMatchObject({ intact: true, confirmed: 0 });
    const tamper = async (statement: string, ...args: string[]) => {
      const db = new DatabaseSync(`${box.dataDir}/store.db`);
      db.exec(`SAVEPOINT tamper; CREATE TABLE kept AS SELECT * FROM audit_log; ${statement}; RELEASE tamper`);
      db.close();
      const found = await verify(...args);
      const mend = new DatabaseSync(`${box.dataDir}/store.db`);
      mend.exec('DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept; DROP TABLE kept');
      mend.close();
      return found;
    };
    expect(await tamper("UPDATE audit_log SET actor = 'usr_other' WHERE seq = 2")).toMatchObject({
      code: 1,
      stderr: 'row 2: it is not as it was written\n',
    });
    expect(await tamper('DELETE FROM audit_log WHERE seq = 3')).toMatchObject({
      code: 1,
      stderr: 'row 4: rows before it are missing\n',
    });
    const cut = `DELETE FROM audit_log WHERE seq > ${Number(head.split(':')[0]) - 2}`;
    expect(await tamper(cut)).toMatchObject({ code: 0 });
    expect(await tamper(cut, '--checkpoint', head)).toMatchObject({ code: 1, stderr: expect.stringContaining('ends before it') });
    expect(await verify('--checkpoint', 'nonsense')).toMatchObject({ code: 78 });
  });
});
