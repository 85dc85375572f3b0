/** Servers on the operator's own machine, the rows for anything else that speaks a dialect, and the built-in demo. */
import type { ProviderRow } from '../../core/provider-row.ts';
import { anthropicRow, localRow, openaiRow } from './row.ts';

/**
 * Where the built-in demo answers. `.invalid` can never be a host of the network (RFC 2606); connections to this origin go to the
 * control plane's Unix socket.
 */
export const DEMO_ORIGIN = 'http://demo.invalid';

export const LOCAL: readonly ProviderRow[] = [
  localRow({
    id: 'ollama',
    name: 'Ollama',
    baseUrl: 'http://127.0.0.1:11434/v1',
    env: [],
    docUrl: 'https://docs.ollama.com/openai',
  }),
  localRow({
    id: 'vllm',
    name: 'vLLM',
    baseUrl: 'http://127.0.0.1:8000/v1',
    env: [],
    docUrl: 'https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html',
  }),
  localRow({
    id: 'sglang',
    name: 'SGLang',
    baseUrl: 'http://127.0.0.1:30000/v1',
    env: [],
    docUrl: 'https://docs.sglang.ai',
  }),
  localRow({
    id: 'lmstudio',
    name: 'LM Studio',
    baseUrl: 'http://127.0.0.1:1234/v1',
    env: [],
    docUrl: 'https://lmstudio.ai/docs',
  }),
  localRow({
    id: 'llamacpp',
    name: 'llama.cpp server',
    baseUrl: 'http://127.0.0.1:8080/v1',
    env: [],
    docUrl: 'https://github.com/ggml-org/llama.cpp/tree/master/tools/server',
  }),
  localRow({
    id: 'tgi',
    name: 'Text Generation Inference',
    env: [],
    docUrl: 'https://huggingface.co/docs/text-generation-inference',
  }),
  localRow({
    id: 'docker-model-runner',
    name: 'Docker Model Runner',
    baseUrl: 'http://127.0.0.1:12434/engines/v1',
    env: [],
    docUrl: 'https://docs.docker.com/ai/model-runner',
  }),
  localRow({
    id: 'xinference',
    name: 'Xinference',
    baseUrl: 'http://127.0.0.1:9997/v1',
    env: [],
    docUrl: 'https://inference.readthedocs.io',
  }),
  localRow({
    id: 'atomic-chat',
    name: 'Atomic Chat',
    baseUrl: 'http://127.0.0.1:1337/v1',
    env: [],
    docUrl: 'https://atomic.chat',
  }),
  localRow({
    id: 'privatemode',
    name: 'Privatemode AI proxy',
    baseUrl: 'http://127.0.0.1:8080/v1',
    env: [],
    docUrl: 'https://docs.privatemode.ai/api/overview',
  }),
  openaiRow({
    id: 'openai-compatible',
    name: 'Any other server that speaks OpenAI chat',
    env: [],
    local: true,
    speaks: { responses: true },
    docUrl: 'https://platform.openai.com/docs/api-reference/chat',
  }),
  anthropicRow({
    id: 'anthropic-compatible',
    name: 'Any other server that speaks Anthropic messages',
    env: [],
    local: true,
    speaks: { countTokens: true },
    docUrl: 'https://docs.anthropic.com/en/api/messages',
  }),
  openaiRow({
    id: 'demo',
    name: "Signalbox's built-in demo",
    baseUrl: `${DEMO_ORIGIN}/demo/v1`,
    env: [],
    auth: 'none',
    local: true,
    quirks: {},
  }),
  anthropicRow({
    id: 'demo-anthropic',
    name: "Signalbox's built-in demo (Anthropic messages)",
    baseUrl: `${DEMO_ORIGIN}/demo`,
    env: [],
    auth: 'none',
    local: true,
  }),
];
