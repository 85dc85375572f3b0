/** Certificates and keys named in the configuration, read and checked: half a rotation must not reach the workers. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { dirname, resolve } from 'node:path';

import type { ConfigIssue, Path } from './issue.ts';
import { issueAt } from './issue.ts';
import { readProblem } from './references.ts';
import type { Sources } from './references.ts';
import type { Config } from './schema.ts';
import { locate } from './tree.ts';
import type { Tree } from './tree.ts';

/** PEM text; keys are secret. */
export interface Pems {
  ca?: string;
  tls?: { cert: string; key: string };
  clientCertificates: { origin: string; cert: string; key: string }[];
}

interface Reading {
  root: Tree;
  readText: Sources['readText'];
  issues: ConfigIssue[];
  files: Set<string>;
}

interface Text {
  path: Path;
  text: string;
}

/** `root` tells where each path was written: relative ones start at their own file. */
export async function readPems(
  config: Config,
  root: Tree,
  readText: Sources['readText'],
): Promise<{ pems: Pems; issues: ConfigIssue[]; files: string[] }> {
  const reading: Reading = { root, readText, issues: [], files: new Set() };
  const pems: Pems = { clientCertificates: [] };
  const ca = await readFileAt(['egress', 'ca_file'], config.egress.ca_file, reading);
  if (ca !== undefined && parseCertificate(ca, reading)) pems.ca = ca.text;
  const tls = await readTls(config, reading);
  if (tls !== undefined) pems.tls = tls;
  for (const [index, { origin, cert_file, key_file }] of config.egress.client_certificates.entries()) {
    const path = ['egress', 'client_certificates', index];
    const cert = await readFileAt([...path, 'cert_file'], cert_file, reading);
    const pair = checkPair(cert, await readFileAt([...path, 'key_file'], key_file, reading), reading);
    if (pair !== undefined) pems.clientCertificates.push({ origin, ...pair });
  }
  return { pems, issues: reading.issues, files: [...reading.files] };
}

async function readTls(config: Config, reading: Reading): Promise<{ cert: string; key: string } | undefined> {
  const tls = config.server.tls;
  if (tls === undefined) return undefined;
  for (const [inline, file] of [['cert', 'cert_file'] as const, ['key', 'key_file'] as const]) {
    if ((tls[inline] === undefined) !== (tls[file] === undefined)) continue;
    complain(['server', 'tls'], `give either \`${file}\` or \`${inline}\``, reading);
  }
  const read = async (inline: 'cert' | 'key') => {
    const text = tls[inline];
    if (text !== undefined) return { path: ['server', 'tls', inline], text };
    return readFileAt(['server', 'tls', `${inline}_file`], tls[`${inline}_file`], reading);
  };
  return checkPair(await read('cert'), await read('key'), reading);
}

async function readFileAt(path: Path, file: string | undefined, reading: Reading): Promise<Text | undefined> {
  if (file === undefined) return undefined;
  const absolute = resolve(dirname(locate(reading.root, path).node.place.file), file);
  reading.files.add(absolute);
  try {
    return { path, text: await reading.readText(absolute) };
  } catch (error) {
    complain(path, `the file cannot be read: ${readProblem(error)}`, reading);
    return undefined;
  }
}

function checkPair(cert: Text | undefined, key: Text | undefined, reading: Reading): { cert: string; key: string } | undefined {
  const certificate = cert && parseCertificate(cert, reading);
  const privateKey = key && parseKey(key, reading);
  if (cert === undefined || key === undefined || !certificate || !privateKey) return undefined;
  if (!certificate.checkPrivateKey(privateKey)) {
    complain(key.path, 'this private key does not belong to the certificate', reading);
    return undefined;
  }
  return { cert: cert.text, key: key.text };
}

function parseCertificate({ path, text }: Text, reading: Reading): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    complain(path, 'is not a PEM certificate', reading);
    return undefined;
  }
}

function parseKey({ path, text }: Text, reading: Reading) {
  try {
    return createPrivateKey(text);
  } catch {
    complain(path, 'is not a PEM private key without a passphrase', reading);
    return undefined;
  }
}

function complain(path: Path, message: string, { root, issues }: Reading): void {
  issues.push(issueAt(locate(root, path).node.place, path, message));
}
