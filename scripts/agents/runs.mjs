/** The command-line agents, their exact versions, and how each is pointed at Signalbox. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const VERSIONS = {
  '@anthropic-ai/claude-code': '2.1.197',
  '@openai/codex': '0.169.0',
  '@qwen-code/qwen-code': '0.15.10',
  'opencode-ai': '1.18.33',
};

/**
 * `prepare` gets the folder of the installed packages, an empty home, Signalbox's URL, a model and a key, and tells what to start: Node runs
 * `script`, where there is one; `file` is a program of its own. `expect`: `answer`, or the error that must be told.
 */
export const RUNS = [
  { name: 'Claude Code', provider: 'Anthropic', model: 'by-messages', surface: 'messages', prepare: claudeCode },
  { name: 'Claude Code', provider: 'OpenAI-compatible', model: 'by-chat', surface: 'messages', prepare: claudeCode },
  { name: 'Codex', provider: 'OpenAI', model: 'by-responses', surface: 'responses', prepare: codex },
  {
    name: 'Codex',
    provider: 'Anthropic',
    model: 'by-messages',
    surface: 'responses',
    prepare: codex,
    refused: 'speaks /v1/responses',
  },
  { name: 'opencode', provider: 'OpenAI-compatible', model: 'by-chat', surface: 'chat', prepare: opencode },
  { name: 'opencode', provider: 'Anthropic', model: 'by-messages', surface: 'chat', prepare: opencode },
  { name: 'Qwen Code', provider: 'OpenAI-compatible', model: 'by-chat', surface: 'chat', prepare: qwenCode },
  { name: 'Qwen Code', provider: 'Anthropic', model: 'by-messages', surface: 'chat', prepare: qwenCode },
];

const PROMPT = 'Read the file timetable.txt and tell me the word in it.';

function claudeCode({ packages, url, model, key }) {
  return {
    // Its program is put in place by an install script, which does not run here; the package's own launcher finds it.
    script: join(packages, '@anthropic-ai/claude-code/cli-wrapper.cjs'),
    args: ['-p', PROMPT, '--model', model],
    env: {
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_AUTH_TOKEN: key,
      // Small questions, such as for a title, go to a model of their own.
      ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
    },
  };
}

function codex({ packages, home, url, model, key }) {
  mkdirSync(join(home, '.codex'));
  writeFileSync(
    join(home, '.codex', 'config.toml'),
    `model = "${model}"
model_provider = "signalbox"

[model_providers.signalbox]
name = "Signalbox"
base_url = "${url}/v1"
env_key = "SIGNALBOX_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
`,
  );
  return {
    script: join(packages, '@openai/codex/bin/codex.js'),
    // Its sandbox needs rights that containers seldom have; all it is told to run is one \`cat\`.
    args: ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', PROMPT],
    env: { SIGNALBOX_KEY: key },
  };
}

function opencode({ packages, home, url, model, key }) {
  const folder = join(home, '.config', 'opencode');
  mkdirSync(folder, { recursive: true });
  const options = { baseURL: `${url}/v1`, apiKey: '{env:SIGNALBOX_KEY}' };
  const signalbox = { npm: '@ai-sdk/openai-compatible', name: 'Signalbox', options, models: { [model]: {} } };
  const config = {
    provider: { signalbox },
    model: `signalbox/${model}`,
    small_model: `signalbox/${model}`,
    autoupdate: false,
  };
  writeFileSync(join(folder, 'opencode.json'), JSON.stringify(config));
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return {
    // As with Claude Code; this package has no launcher of its own.
    file: join(packages, `opencode-${platform}-${process.arch}/bin/opencode`),
    args: ['run', PROMPT],
    env: { SIGNALBOX_KEY: key, OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1' },
  };
}

function qwenCode({ packages, url, model, key }) {
  return {
    script: join(packages, '@qwen-code/qwen-code/cli.js'),
    args: ['--auth-type', 'openai', '-p', PROMPT],
    env: { OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: key, OPENAI_MODEL: model },
  };
}
