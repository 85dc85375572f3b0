import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { request, createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { openDataDir, writePrivateFile } from './data-dir.ts';

const newDir = (): string => join(mkdtempSync(join(tmpdir(), 'data-')), 'state');
const mode = (path: string): number => statSync(path).mode & 0o777;

test('all of it is the owner’s alone, whatever was there before', () => {
  const path = newDir();
  mkdirSync(path, { mode: 0o755 });
  const dir = openDataDir(path);
  expect(mode(path)).toBe(0o700);
  expect(mode(dir.journalDir)).toBe(0o700);
  expect(mode(join(path, 'pepper'))).toBe(0o600);
  dir.release();
});

test('the pepper is made once and kept', () => {
  const path = newDir();
  const first = openDataDir(path);
  first.release();
  const second = openDataDir(path);
  expect(second.pepper).toMatch(/^[0-9a-f]{64}$/);
  expect(second.pepper).toBe(first.pepper);
  second.release();
  writeFileSync(join(path, 'pepper'), 'short');
  expect(() => openDataDir(path)).toThrow('is damaged');
});

test('another process cannot have it; after kill -9 the next one can, at once', async () => {
  const path = newDir();
  const script = `
    import { openDataDir } from ${JSON.stringify(new URL('./data-dir.ts', import.meta.url).href)};
    try { globalThis.held = openDataDir(${JSON.stringify(path)}); console.log('taken'); setInterval(() => {}, 1000); }
    catch (error) { console.log(error.message); }`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script]);
  expect(String((await once(holder.stdout, 'data'))[0]).trim()).toBe('taken');
  expect(() => openDataDir(path)).toThrow(`${path} is in use by another Signalbox (process ${holder.pid})`);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  openDataDir(path).release();
});

test('a path too long for a socket still gets one (Linux)', async () => {
  const path = join(newDir(), 'x'.repeat(150));
  const dir = openDataDir(path);
  const server = createServer((_request, response) => response.end('reached')).listen(dir.controlSocketPath);
  await once(server, 'listening');
  expect(readdirSync(path)).toContain('control.sock');
  const call = request({ socketPath: dir.controlSocketPath }).end();
  const [answer] = (await once(call, 'response')) as [NodeJS.ReadableStream];
  expect(String((await once(answer, 'data'))[0])).toBe('reached');
  server.close();
  dir.release();
  expect(existsSync(join(path, 'control.sock'))).toBe(false);
});

test('a directory that cannot be made is one sentence', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'data-')), 'file');
  writeFileSync(file, '');
  expect(() => openDataDir(join(file, 'state'))).toThrow(/the data directory .* cannot be used/);
});

test('a private file replaces the old one whole', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'data-')), 'secret');
  writePrivateFile(path, 'one');
  writePrivateFile(path, 'two');
  expect(readFileSync(path, 'utf8')).toBe('two');
  expect(mode(path)).toBe(0o600);
});
