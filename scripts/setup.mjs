/**
 * What a fresh clone lacks before `npm start` or `npm test`: the packages (with Node itself, on Linux x64) and dist.
 * Runs on any Node from 20, without dependencies; does nothing, and says nothing, where nothing is missing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const at = (...parts) => join(ROOT, ...parts);
const LOCK = at('package-lock.json');
const INSTALLED = at('node_modules', '.package-lock.json');
const STAMP = '.built-from';
const BUILD_STAMP = at('dist', STAMP);
const BUNDLED_NODE = at('node_modules', '.bin', 'node');

/**
 * Whether npm's record of what it installed agrees with the lock file. Optional packages may be missing (another platform, a registry
 * without them); what is there has the locked version.
 */
function isInstalled() {
  if (!existsSync(INSTALLED)) return false;
  const wanted = packagesOf(LOCK);
  const present = packagesOf(INSTALLED);
  const isSame = (path) => present[path]?.version === wanted[path]?.version;
  const needed = Object.keys(wanted).filter((path) => path.startsWith('node_modules/') && wanted[path].optional !== true);
  return needed.every(isSame) && Object.keys(present).every(isSame);
}

function packagesOf(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}

function install() {
  if (isInstalled()) return;
  say('installing packages…');
  // The npm that runs us, if one does: the machine's own may be another.
  const npm = process.env.npm_execpath;
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  run(npm === undefined ? 'npm' : process.execPath, npm === undefined ? args : [npm, ...args]);
  // On a system that cannot run it (another libc), the system's Node must be found instead.
  if (existsSync(BUNDLED_NODE) && spawnSync(BUNDLED_NODE, ['--version']).status !== 0) rmSync(BUNDLED_NODE);
}

function build() {
  const wanted = sourceStamp();
  if (existsSync(BUILD_STAMP) && readFileSync(BUILD_STAMP, 'utf8') === wanted) return;
  say('building…');
  const fresh = at('node_modules', `.signalbox-build-${process.pid}`);
  const node = existsSync(BUNDLED_NODE) ? BUNDLED_NODE : process.execPath;
  run(node, [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', at('tsconfig.build.json'), '--outDir', fresh]);
  writeFileSync(join(fresh, STAMP), wanted);
  put(fresh);
}

/** By renaming, so that another setup, a packing or a start at this moment finds a whole dist, the old one or the new one. */
function put(fresh) {
  const old = `${fresh}-old`;
  unlessTaken(() => renameSync(at('dist'), old));
  unlessTaken(() => renameSync(fresh, at('dist')));
  for (const each of [fresh, old]) rmSync(each, { recursive: true, force: true });
}

/** Where nothing stood yet, or another setup was quicker, with the same sources, there is nothing to do. */
function unlessTaken(rename) {
  try {
    rename();
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error;
  }
}

/** Changes with every source that is added, removed or edited. */
function sourceStamp() {
  const files = readdirSync(at('src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const sources = [...files, at('tsconfig.json'), at('tsconfig.build.json')];
  const states = sources.map((file) => `${file} ${statSync(file).mtimeMs} ${statSync(file).size}`);
  const sorted = states.sort((a, b) => (a < b ? -1 : 1));
  return createHash('sha256').update(sorted.join('\n')).digest('hex');
}

/** On standard error: standard output belongs to what comes after. */
function say(line) {
  process.stderr.write(`setup: ${line}\n`);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  say(`${command} ${args.join(' ')} failed${error === undefined ? '' : `: ${error.message}`}`);
  process.exit(1);
}

install();
build();
