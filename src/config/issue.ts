/** Where something stands in the operator's files. Line and column count from 1; line 0 is a place without lines, such as a flag. */
export interface Place {
  file: string;
  line: number;
  column: number;
}

/** One thing wrong with the configuration. Never holds a value that came by reference, nor any credential. */
export interface ConfigIssue extends Place {
  /** `models[0].targets[1].provider`; empty for the file as a whole. */
  path: string;
  message: string;
  /** Up to three names the operator may have meant. */
  nearest?: string[];
}

export type Path = readonly (string | number)[];

export function issueAt(place: Place, path: Path, message: string, nearest: string[] = []): ConfigIssue {
  const { file, line, column } = place;
  return { file, line, column, path: formatPath(path), message, ...(nearest.length > 0 && { nearest }) };
}

export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

export function formatPlace({ file, line, column }: Place): string {
  return line === 0 ? file : `${file}:${line}:${column}`;
}

/** One line: `gateway.yaml:3:5 server.prot: unknown key (did you mean "port"?)`. */
export function formatIssue(issue: ConfigIssue): string {
  const path = issue.path === '' ? '' : ` ${issue.path}:`;
  const names = (issue.nearest ?? []).map((name) => JSON.stringify(name)).join(' or ');
  const hint = names === '' ? '' : ` (did you mean ${names}?)`;
  return `${formatPlace(issue)}${path} ${issue.message}${hint}`;
}

/** By file as first met, then by place. */
export function sortIssues(issues: readonly ConfigIssue[]): ConfigIssue[] {
  const files = [...new Set(issues.map((issue) => issue.file))];
  return [...issues].sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column);
}
