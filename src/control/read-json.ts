/** The body of a call to the control plane: JSON, of bounded size. */
import type { IncomingMessage } from 'node:http';

import { GatewayError } from '../core/errors.ts';

const MAX_ADMIN_BODY_BYTES = 1024 * 1024;

/** An empty body counts as `{}`. Throws body_too_large, unsupported_content_type, unsupported_encoding, invalid_json. */
export async function readJson(incoming: IncomingMessage): Promise<unknown> {
  const bytes = await readBytes(incoming);
  if (bytes.length === 0) return {};
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = incoming.headers;
  if (encoding !== 'identity') throw new GatewayError('unsupported_encoding');
  if (!/^application\/json *(?:; *charset="?utf-8"? *)?$/i.test(type)) {
    throw new GatewayError('unsupported_content_type', { details: { message: 'The content type must be application/json' } });
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)) as unknown;
  } catch {
    throw new GatewayError('invalid_json');
  }
}

async function readBytes(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  if (Number(incoming.headers['content-length'] ?? 0) > MAX_ADMIN_BODY_BYTES) throw tooLarge();
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ADMIN_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): GatewayError {
  return new GatewayError('body_too_large', {
    details: { message: `The request body is larger than ${MAX_ADMIN_BODY_BYTES} bytes` },
  });
}
