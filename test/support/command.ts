/** Programs run as a person at a shell would run them: npm, git, sh, an installed signalbox. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export const ROOT = new URL('../../', import.meta.url).pathname;

export interface CommandOptions {
  cwd: string;
  env: Readonly<Record<string, string>>;
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Command {
  process: ChildProcess;
  /** All that was written so far. */
  stdout: () => string;
  stderr: () => string;
  /** Resolves when the program is gone and its output read. */
  finished: Promise<Finished>;
  /** Resolves with the first match in standard output; rejects with all output where the program ends, or the time passes, before it. */
  until: (pattern: RegExp, withinMs: number) => Promise<RegExpExecArray>;
}

export function startCommand(program: string, args: readonly string[], { cwd, env }: CommandOptions): Command {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const finished = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }));
  return {
    process: child,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    finished,
    async until(pattern, withinMs) {
      const signal = AbortSignal.timeout(withinMs);
      for (;;) {
        const match = pattern.exec(output.stdout);
        if (match !== null) return match;
        const more = once(child.stdout, 'data', { signal }).catch(() => 'too late');
        const what = await Promise.race([more, finished.then(() => 'ended')]);
        if (typeof what !== 'string' || pattern.test(output.stdout)) continue;
        child.kill('SIGKILL');
        throw new Error(`${[program, ...args].join(' ')}: ${what}, without ${pattern}\n${output.stdout}\n${output.stderr}`);
      }
    },
  };
}

/** Runs a program to its end, whatever its exit code. */
export function runCommand(program: string, args: readonly string[], options: CommandOptions): Promise<Finished> {
  return startCommand(program, args, options).finished;
}

/**
 * This process's environment, as a new shell would have it: an npm that runs us leaves variables behind that send an npm we start
 * to our folder instead of its own, and the test runner its own. How this machine reaches the registry stays.
 */
export function shellEnvironment(path: string, extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const left =
    /^(npm_(?!config_)|npm_config_(local_|global_)?prefix$|npm_config_ignore_scripts$|NODE_(ENV|OPTIONS|PATH)$|VITEST|INIT_CWD$|CI$)/i;
  const kept = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || left.test(name) ? [] : [[name, value] as const],
  );
  return { ...Object.fromEntries(kept), ...extra, PATH: path };
}

/** The PATH that this machine had before an npm, or a person, put this repository's programs in front. */
export function machinePath(): string {
  const places = (process.env['PATH'] ?? '').split(':');
  return places.filter((place) => !/\/node_modules\/\.bin\/?$|node-gyp-bin/.test(place)).join(':');
}
