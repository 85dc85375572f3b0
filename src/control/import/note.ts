/** What an import could not carry over as it was, and what became of it. Never holds a secret. */
export interface Note {
  /** Where it stood: `model_list[3].litellm_params.region_name`, `key ci`. */
  place: string;
  message: string;
}

export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Databases and YAML alike write some numbers as text. */
export function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'bigint' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
