/** What the schemas of several parts of the file are made of. */
import * as z from 'zod';

/** A string, not empty, that passes one of the checks of values.ts. */
export function text(problem?: (value: string) => string | undefined) {
  return z.string().check((context) => {
    const message = context.value === '' ? 'must not be empty' : problem?.(context.value);
    if (message !== undefined) context.issues.push({ code: 'custom', message, input: context.value });
  });
}

export function int(min: number, max: number) {
  return z.int().min(min).max(max);
}
