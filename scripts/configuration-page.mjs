/** docs/configuration.md: what the file is like, by hand; every key of it, from the schema. */
import { NOT_BUILT } from '../src/config/not-built.ts';
import { jsonSchema } from '../src/config/schema.ts';
import { code, table } from './markdown.mjs';

/** Every key below a schema, in the order of the file: its path, its schema, and whether it must be given. */
function* keysOf(schema, path = '') {
  for (const each of [schema, ...(schema.anyOf ?? [])]) {
    for (const [key, member] of Object.entries(each.properties ?? {})) {
      const at = path === '' ? key : `${path}.${key}`;
      yield { path: at, schema: member, required: each.required?.includes(key) ?? false };
      yield* keysOf(member, at);
    }
    if (each.additionalProperties?.properties !== undefined) yield* keysOf(each.additionalProperties, `${path}.<name>`);
    if (each.items !== undefined) yield* keysOf(each.items, `${path}[]`);
  }
}

function kindOf(schema) {
  if (schema.anyOf !== undefined) return schema.anyOf.map(kindOf).join(' or ');
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  if (schema.type === 'array') return schema.items.properties === undefined ? `list of ${kindOf(schema.items)}` : 'list';
  if (schema.type === 'integer' || schema.type === 'number')
    return `${schema.type === 'integer' ? 'whole number' : 'number'}, ${rangeOf(schema)}`;
  return { string: 'text', boolean: 'true or false', object: 'mapping' }[schema.type] ?? schema.type;
}

const rangeOf = ({ minimum, maximum }) => `${minimum} to ${maximum}`;

function defaultOf({ schema, required }) {
  if (required) return 'required';
  const value = schema.default;
  if (value === undefined || schema.type === 'object') return '';
  return code(Array.isArray(value) ? `[${value.join(', ')}]` : value);
}

const keyRow = (key) => [code(key.path), kindOf(key.schema), defaultOf(key), key.schema.description];

function keyTables() {
  const schema = jsonSchema();
  const sections = Object.entries(schema.properties).map(([name, section]) => {
    const keys = [...keysOf(schema)].filter(({ path }) => path !== name && path.split(/[.[]/)[0] === name);
    const body =
      keys.length === 0
        ? `${kindOf(section)[0].toUpperCase()}${kindOf(section).slice(1)}.`
        : table(['Key', 'Kind', 'Default', 'Meaning'], keys.map(keyRow));
    return `### ${name}\n\n${section.description}\n\n${body}`;
  });
  return sections.join('\n\n');
}

function notBuiltTable() {
  const shown = (pattern) => pattern.replaceAll('.*', '[]');
  const keys = Object.entries(NOT_BUILT).map(([pattern, capability]) => [code(shown(pattern)), capability]);
  return table(['Key', 'Capability'], keys);
}

export function configurationPage() {
  return `# Configuration

Signalbox is configured by one YAML file: \`--config FILE\`, else \`SIGNALBOX_CONFIG\`, else \`gateway.yaml\` in the working directory. Without any, it
starts in first-run mode. [gateway.example.yaml](../gateway.example.yaml) shows every key at work.

\`\`\`yaml
providers:
  openai: { api_key: "\${env:OPENAI_API_KEY}" }
models:
  - name: gpt-4o
    targets: [{ provider: openai, model: gpt-4o-2024-08-06 }]
keys:
  - { name: ci, key: "\${env:CI_KEY}" }
\`\`\`

**Checking.** \`signalbox check [--config FILE] [--json]\` reads the file as a start would and prints every mistake with its line, exit code 78; 0 where
there is none. Unknown keys are mistakes. So are keys of capabilities that this version does not have; they are listed at the end.

**Editors.** \`signalbox schema > gateway.schema.json\` writes a JSON Schema with all descriptions. Editors with the YAML language server read it through the
first line of the file: \`# yaml-language-server: $schema=./gateway.schema.json\`.

**Secrets and references.** Any value may hold \`\${env:NAME}\` or \`\${file:/path}\`: a variable of the environment, or a file without its last line break.
Relative paths start at the file they are written in. Credentials of providers, the admin key, keys, private keys and headers that look like
credentials *must* be references; written out, they are refused. \`$\${\` stands for a literal \`\${\`. A value of the environment that is missing or empty is a
mistake. No message ever shows what a reference led to.

**Several files.** \`include\` reads further files. Their lists (\`models\`, \`keys\`) are joined to those of the first file, their sections merged key by
key; the same key in two files is a mistake that names both places.

**Reload.** The file, its includes, its secret files and its certificates are looked at every 5 seconds, behind symlinks too, as Kubernetes swaps them; SIGHUP looks at
once. A valid change is swapped in whole, for new requests, in every worker. A mistake leaves the old configuration in force and is logged. \`GET /health/ready\`
shows the hash of the configuration in force. \`server.host\`, \`server.port\`, \`server.workers\` and whether TLS is spoken are fixed at the start.

**Names of models.** An exact name goes before a wildcard, a longer wildcard before a shorter one. \`a2a/\` is reserved for agents.

**Base URLs.** Those of the file are used as they are, private addresses too. Those of anthropic providers come without \`/v1\`, those of openai ones with it.

## Keys

Units are in the names: \`_ms\` milliseconds, \`_s\` seconds, \`_bytes\` bytes, \`_usd_per_mtok\` USD per million tokens. \`[]\` is an item of a list, \`<name>\` a name of
your choice.

${keyTables()}

## Not built yet

Recognised and refused, so that no file promises what does not happen.

${notBuiltTable()}
`;
}
