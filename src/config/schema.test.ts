/** Every key has an effect or is refused, is documented, and is shown at work in the example. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';

import { configFolder } from '../../test/support/config-files.ts';
import { formatIssue } from './issue.ts';
import { NOT_BUILT } from './not-built.ts';
import type { JsonSchema } from './schema.ts';
import { jsonSchema } from './schema.ts';
import { schemasAt } from './validate.ts';

const ROOT = new URL('../../', import.meta.url);
const PAGE = readFileSync(new URL('docs/configuration.md', ROOT), 'utf8');
const EXAMPLE = readFileSync(new URL('gateway.example.yaml', ROOT), 'utf8');
/** The example with its commented-out settings in force. */
const WHOLE_EXAMPLE = EXAMPLE.replaceAll(/^(\s+)# ((?: {2})*(?:- )?[a-z_]+:.*)$/gm, '$1$2');

/** Every key, as `models.*.targets.*.provider`. */
function* keysOf(schema: JsonSchema, path = ''): Generator<string> {
  for (const { properties = {}, additionalProperties, items } of [schema, ...(schema.anyOf ?? [])]) {
    for (const [key, member] of Object.entries(properties)) {
      const at = path === '' ? key : `${path}.${key}`;
      yield at;
      yield* keysOf(member, at);
    }
    if (typeof additionalProperties === 'object') yield* keysOf(additionalProperties, `${path}.*`);
    if (items !== undefined) yield* keysOf(items, `${path}.*`);
  }
}

/** Sections whose entries have names instead of places in a list. */
const BY_NAME = new Set(['providers', 'tags']);

const KEYS = [...keysOf(jsonSchema())];

/** Every path that a parsed file uses, in the same form, map keys both by name and as `*`. */
function pathsIn(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [path];
  const below = Object.entries(value).flatMap(([key, member]) => {
    const at = (step: string) => (path === '' ? step : `${path}.${step}`);
    const names = Array.isArray(value) ? [at('*')] : [at(key), at('*')];
    return names.flatMap((name) => pathsIn(member, name));
  });
  return [path].concat(below);
}

describe('every key', () => {
  it('is found at all', () => {
    expect(KEYS.length).toBeGreaterThan(80);
    expect(KEYS).toContain('models.*.targets.*.price.per_request_usd');
  });

  it('has a description', () => {
    const bare = KEYS.filter((key) => {
      const path = key.split('.').map((step) => (step === '*' ? 0 : step));
      const named = path.map((step, index) => (step === 0 && BY_NAME.has(String(path[index - 1])) ? 'x' : step));
      const parent = schemasAt(jsonSchema(), named.slice(0, -1)).flatMap(
        ({ properties }) => properties?.[String(named.at(-1))] ?? [],
      );
      return parent.length === 0 || parent.some(({ description }) => description === undefined);
    });
    expect(bare).toEqual([]);
  });

  it('has a line in docs/configuration.md', () => {
    const shown = (key: string) => key.replace(/^(providers|tags)\.\*/, '$1.<name>').replaceAll('.*', '[]');
    expect(KEYS.filter((key) => key.includes('.') && !PAGE.includes(`| \`${shown(key)}\` |`))).toEqual([]);
    expect(KEYS.filter((key) => !key.includes('.') && !PAGE.includes(`\n### ${key}\n`))).toEqual([]);
  });

  it('is at work in gateway.example.yaml', () => {
    const used = new Set(pathsIn(parse(WHOLE_EXAMPLE)));
    expect(KEYS.filter((key) => !used.has(key))).toEqual([]);
  });

  it('is built, if the schema knows it; recognised, if it is not', () => {
    expect(Object.keys(NOT_BUILT).filter((key) => KEYS.includes(key))).toEqual([]);
    const shown = (key: string) => key.replaceAll('.*', '[]');
    expect(Object.keys(NOT_BUILT).filter((key) => !PAGE.includes(`| \`${shown(key)}\` |`))).toEqual([]);
  });
});

describe('gateway.example.yaml', () => {
  const ENV = {
    OPENAI_API_KEY: 'sk-a',
    GROQ_API_KEY_1: 'g-1',
    GROQ_API_KEY_2: 'g-2',
    ANTHROPIC_API_KEY: 'sk-b',
    CI_KEY: 'k-3f9a1c77e2b84d05',
    SUPPORT_AGENT_KEY: 'agent-key-1',
    OIDC_CLIENT_SECRET: 'client-secret-0815',
    EVENTS_SECRET: 'whsec_PlKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx',
    GUARD_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    SIGNALBOX_ADMIN_KEY: 'adm-51c09f6fd2ab7e33',
    OTLP_TOKEN: 'token',
  };

  it('is valid without a warning', async () => {
    await using files = await configFolder({ 'gateway.yaml': EXAMPLE });
    const result = await files.load({ env: ENV });
    expect(result.ok ? result.warnings : result.issues.map(formatIssue)).toEqual([]);
  });

  it('is valid with its commented-out settings, too', async () => {
    const fixture = (path: string) => readFileSync(new URL(`test/fixtures/${path}`, ROOT), 'utf8');
    const withFiles = WHOLE_EXAMPLE.replaceAll(/\/etc\/(?:ssl|signalbox)\//g, 'pem/').replaceAll(
      /^ +(?:cert|key): "\$\{env:TLS_.*$/gm,
      '',
    );
    await using files = await configFolder({
      'gateway.yaml': withFiles,
      'pem/tls.crt': fixture('tls/cert.pem'),
      'pem/tls.key': fixture('tls/key.pem'),
      'pem/company-ca.pem': fixture('egress/ca.pem'),
      'pem/client.crt': fixture('egress/client.pem'),
      'pem/client.key': fixture('egress/client.key'),
    });
    const result = await files.load({ env: ENV });
    expect(result.ok ? result.warnings : result.issues.map(formatIssue)).toEqual([]);
    expect(result.ok && result.loaded.pems).toEqual({
      ca: fixture('egress/ca.pem'),
      tls: { cert: fixture('tls/cert.pem'), key: fixture('tls/key.pem') },
      clientCertificates: [
        { origin: 'https://llm.internal:8443', cert: fixture('egress/client.pem'), key: fixture('egress/client.key') },
      ],
    });
    expect(result.files).toHaveLength(6);
  });
});

describe('certificates', () => {
  const fixture = (path: string) => readFileSync(new URL(`test/fixtures/${path}`, ROOT), 'utf8');
  const TLS = 'server: { tls: { cert_file: cert.pem, key_file: key.pem } }';

  it.each<[string, string, Record<string, string>, string[]]>([
    [
      'a key of another certificate',
      TLS,
      { 'cert.pem': fixture('tls/cert.pem'), 'key.pem': fixture('egress/client.key') },
      ['server.tls.key_file: this private key does not belong to the certificate'],
    ],
    [
      'what is no PEM',
      TLS,
      { 'cert.pem': 'x', 'key.pem': 'y' },
      ['server.tls.cert_file: is not a PEM certificate', 'server.tls.key_file: is not a PEM private key without a passphrase'],
    ],
    [
      'two sources of one thing',
      'server: { tls: { cert_file: cert.pem, cert: "${file:cert.pem}", key: "${file:key.pem}" } }',
      { 'cert.pem': fixture('tls/cert.pem'), 'key.pem': fixture('tls/key.pem') },
      ['server.tls: give either `cert_file` or `cert`'],
    ],
    [
      'an authority that is missing',
      'egress: { ca_file: nowhere.pem }',
      {},
      ['egress.ca_file: the file cannot be read: it does not exist'],
    ],
  ])('%s is refused', async (_what, text, more, expected) => {
    await using files = await configFolder({ 'gateway.yaml': text, ...more });
    const result = await files.load();
    expect(result.ok || result.issues.map(({ path, message }) => `${path}: ${message}`)).toEqual(expected);
  });
});
