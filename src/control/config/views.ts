/** How the configuration is shown. Nothing here ever holds a secret: references stand as they were written, credentials as whether there is one. */
import * as z from 'zod';

import { API_SECTIONS, type ApiSection } from '../../config/api-document.ts';
import type { ConfigIssue } from '../../config/issue.ts';
import { type LayerEntry, asWritten } from '../../config/layers.ts';
import type { DocumentVersion } from '../../store/ports/documents.ts';
import { isoOf, isoTime } from '../contract/fields.ts';
import type { Done } from '../contract/route.ts';
import type { Checked, Edited, InForce } from './desk.ts';
import { type EntryChange, differences } from './diff.ts';

export const entryView = z.object({
  name: z.string(),
  origin: z.enum(['file', 'api', 'shadowed']).describe('`shadowed`: of the API, behind an entry of the file of the same name.'),
  problem: z.string().exactOptional().describe('Why the entry is left out.'),
  credential: z
    .enum(['file', 'set', 'missing', 'none'])
    .exactOptional()
    .describe('Of a provider: it stands in the file, was set over the API, is still to be set, or none is sent.'),
  settings: z.record(z.string(), z.unknown()).describe('As written; references are never resolved.'),
});
type EntryView = z.input<typeof entryView>;

const issue = z.object({
  param: z.string().describe('From the root of the document.'),
  place: z.string().describe('`file:line:column`, or `api:` and a JSON pointer.'),
  message: z.string(),
});

const change = z.object({
  section: z.enum(API_SECTIONS),
  name: z.string(),
  change: z.enum(['added', 'removed', 'changed']),
  before: z.unknown(),
  after: z.unknown(),
});

export const effectiveView = z.object({
  version: z.int().describe('Of the document in force; 0: there is none.'),
  snapshot_hash: z.string(),
  providers: z.array(entryView),
  models: z.array(entryView),
  tags: z.array(entryView),
  file: z.record(z.string(), z.unknown()).describe('What only the file has, as written.'),
});

export const documentView = z.object({
  providers: z.record(z.string(), z.unknown()),
  models: z.array(z.unknown()),
  tags: z.record(z.string(), z.unknown()),
});

export const versionView = z.object({
  version: z.int(),
  at: isoTime,
  by: z.string().describe('`root`, or a user’s id.'),
  note: z.string(),
});

export const oneVersionView = versionView.extend({
  document: documentView,
  changes: z.array(change).describe('Against the version before.'),
});

export const checkView = z.object({
  valid: z.boolean(),
  issues: z.array(issue),
  warnings: z.array(issue),
});

export const diffView = checkView.extend({
  changes: z.array(change),
  clears_credentials: z.array(z.string()).describe('Providers whose type or base URL changes, or that go.'),
});

/** With every change that is answered: 200 where it is in force in every worker, else 202. */
export const appliedView = z.object({
  version: z.int(),
  in_force: z.boolean(),
  late_workers: z.array(z.int()),
  cleared_credentials: z.array(z.string()),
  warnings: z.array(issue),
});

export function entriesIn({ layered }: InForce, section: ApiSection): EntryView[] {
  return layered.entries.filter((entry) => entry.section === section).map(viewOfEntry);
}

/** The one that is in force, else the one that would be. */
export function entryIn(state: InForce, section: ApiSection, name: string): EntryView | undefined {
  return entriesIn(state, section).find((entry) => entry.name === name);
}

function viewOfEntry({ name, origin, problem, credential, written }: LayerEntry): EntryView {
  const settings = typeof written === 'object' && written !== null ? (written as Record<string, unknown>) : {};
  return {
    name,
    origin,
    ...(problem !== undefined && { problem }),
    ...(credential !== undefined && { credential }),
    settings,
  };
}

/** Sections of the file that have no other layer, as written. */
export function fileOnly({ file }: InForce): Record<string, unknown> {
  const layered = new Set<string>(API_SECTIONS);
  const others = [...file.root.entries].filter(([section]) => !layered.has(section));
  return Object.fromEntries(others.map(([section, { value }]) => [section, asWritten(value)]));
}

function issueViews(issues: readonly ConfigIssue[]): z.input<typeof issue>[] {
  return issues.map(({ path, file, line, column, message }) => ({
    param: path,
    place: line === 0 ? file : `${file}:${line}:${column}`,
    message,
  }));
}

export function viewOfCheck({ issues, warnings }: Checked): z.input<typeof checkView> {
  return { valid: issues.length === 0, issues: issueViews(issues), warnings: issueViews(warnings) };
}

export function viewOfVersion({ number, atMs, by, note }: Omit<DocumentVersion, 'content'>): z.input<typeof versionView> {
  return { version: number, at: isoOf(atMs), by, note };
}

export function viewOfChange({ before, after, ...same }: EntryChange): z.input<typeof change> {
  return { ...same, before: before ?? null, after: after ?? null };
}

/** The answer to an edit; the audit log gets the entries that it changed. */
export function applied(edited: Edited, target: string): Done<z.input<typeof appliedView>> {
  const { number, late, cleared, warnings } = edited;
  const changes = differences(edited.before, edited.after);
  const side = (which: 'before' | 'after') =>
    Object.fromEntries(
      changes.flatMap((each) => (each[which] === undefined ? [] : [[`${each.section}:${each.name}`, each[which]]])),
    );
  return {
    body: {
      version: number,
      in_force: late.length === 0,
      late_workers: [...late],
      cleared_credentials: [...cleared],
      warnings: issueViews(warnings),
    },
    ...(late.length > 0 && { status: 202 }),
    headers: { etag: etagOf(number) },
    change: { target, before: side('before'), after: side('after') },
  };
}

export function etagOf(version: number): string {
  return `"v${version}"`;
}
