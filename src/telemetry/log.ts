import { createRequire } from 'node:module';

import pino, { type Logger } from 'pino';

import type { ExchangeFact } from '../core/exchange.ts';
import { formatUsd } from '../core/money.ts';

export interface LogSettings {
  level: 'debug' | 'info' | 'warn' | 'error';
  /** `auto`: pretty on a terminal, JSON elsewhere. */
  format: 'auto' | 'json' | 'pretty';
}

/** The process's logger, and the way into its stream for lines that are JSON already. */
export interface Log {
  logger: Logger;
  write: (line: string) => void;
}

/**
 * The log of the process, on standard error so that the ready line stands alone on standard output. Lives on the main thread; workers' messages arrive there.
 * Nothing is passed to it but fields named here and words of ours: no bodies, no headers, no error objects of other libraries.
 */
export function createLog(settings: LogSettings, stream: { fd: number; isTTY: boolean }): Log {
  const isPretty = settings.format === 'pretty' || (settings.format === 'auto' && stream.isTTY);
  const options = {
    level: settings.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const destination = isPretty ? prettyStream(stream) : chunkedStream(stream.fd);
  return { logger: pino(options, destination), write: (line) => void destination.write(line) };
}

/** Asynchronous and in chunks: a slow reader of the log must never hold up the main thread. */
function chunkedStream(fd: number): NodeJS.WritableStream {
  return pino.destination({
    fd,
    sync: false,
    minLength: 16_384,
    maxWrite: 65_536,
    periodicFlush: 250,
  }) as unknown as NodeJS.WritableStream;
}

const OUTCOME_LEVEL = {
  ok: 'info',
  refused: 'info',
  client_gone: 'info',
  upstream_error: 'warn',
  upstream_incomplete: 'warn',
  internal_error: 'error',
} as const satisfies Record<ExchangeFact['outcome'], string>;

/** Loaded only for a terminal; `require`, because a log must be there at once. */
function prettyStream(stream: { fd: number; isTTY: boolean }): NodeJS.WritableStream {
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
  return pretty({ colorize: stream.isTTY, ignore: 'pid,hostname', sync: true, destination: stream.fd });
}

/**
 * One line per exchange, in pino's form. Made by JSON.stringify instead of pino, which takes three times as long over so many fields, and this line is
 * written for every exchange. The asked model and the end user are the only words of the client's in it; they were cut when they were recorded.
 */
export function logExchange(log: Log, fact: ExchangeFact, recovered: boolean): void {
  const level = OUTCOME_LEVEL[fact.outcome];
  if (!log.logger.isLevelEnabled(level)) return;
  const line = JSON.stringify({
    level,
    time: new Date().toISOString(),
    request_id: fact.requestId,
    surface: fact.surface,
    client_ip: fact.clientIp,
    key: fact.key,
    end_user: fact.endUser,
    model: fact.askedModel ?? fact.model,
    target: fact.target,
    status: fact.status,
    outcome: fact.outcome,
    error: fact.error,
    error_message: fact.errorMessage,
    finish: fact.finish,
    stream: fact.stream,
    attempts: fact.attempts.length,
    input_tokens: fact.usage?.inputTokens,
    output_tokens: fact.usage?.outputTokens,
    cache_read_tokens: fact.usage?.cacheReadTokens,
    cost_usd: fact.costNanoUsd === undefined ? undefined : formatUsd(fact.costNanoUsd),
    unpriced: fact.unpriced,
    first_byte_ms: rounded(fact.firstByteMs),
    total_ms: rounded(fact.totalMs),
    overhead_ms: rounded(fact.overheadMs),
    warnings: fact.warnings.length === 0 ? undefined : fact.warnings.map((warning) => warning.param),
    guards: fact.guards?.map(({ name, stage, verdict }) => `${name} ${stage} ${verdict}`),
    trace_id: fact.trace?.traceId,
    msg: recovered ? 'exchange of an earlier run' : 'exchange',
  });
  log.write(`${line}\n`);
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 100) / 100;
}
