/** What a body may hold that registers or changes an agent: the schema of the file, bounded, and as a JSON merge patch (RFC 7396). */
import * as z from 'zod';

import { agentSchema } from '../../config/schema-agent.ts';

/** Of any text: a credential goes out with every call. */
const MAX_TEXT = 8_192;

export const agentBody = agentSchema.check(refuseLongTexts);

/** Any of the fields, and of those that are objects any of theirs; null takes away. What only the whole agent gets wrong is seen once it is merged. */
export const agentPatch = membersOf(agentSchema).check(refuseLongTexts);

function membersOf({ shape }: z.ZodObject) {
  const members = Object.entries(shape).map(([name, member]) => {
    const patch = patchOf(member as z.ZodType)
      .nullable()
      .exactOptional();
    const { description } = member as z.ZodType;
    return [name, description === undefined ? patch : patch.describe(description)] as const;
  });
  return z.strictObject(Object.fromEntries(members));
}

/** Without defaults, which would write what nobody said. Lists are replaced whole. */
function patchOf(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPipe) return patchOf(schema.in as z.ZodType);
  if (schema instanceof z.ZodObject) return membersOf(schema);
  if (schema instanceof z.ZodRecord) return z.record(schema.keyType, (schema.valueType as z.ZodType).nullable());
  const isWrapped =
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodExactOptional;
  return isWrapped ? patchOf(schema.unwrap() as z.ZodType) : schema;
}

function refuseLongTexts(context: z.core.ParsePayload): void {
  for (const path of longTexts(context.value, [])) {
    context.issues.push({ code: 'custom', message: `must have at most ${MAX_TEXT} characters`, path, input: undefined });
  }
}

function longTexts(value: unknown, path: (string | number)[]): (string | number)[][] {
  if (typeof value === 'string') return value.length > MAX_TEXT ? [path] : [];
  if (Array.isArray(value)) return value.flatMap((item, index) => longTexts(item, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => longTexts(member, [...path, name]));
}
