/** docs/metrics.md: how to scrape, by hand; every metric, from what one complete exchange makes of `/metrics`. */
import { NO_USAGE } from '../src/core/usage.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import { code, table } from './markdown.mjs';

/** An exchange with everything that a metric is made of. */
const FACT = {
  kind: 'exchange',
  id: 'req_1',
  worker: 0,
  atMs: 0,
  surface: 'messages',
  stream: true,
  key: 'ci',
  model: 'fast',
  provider: 'openai',
  status: 200,
  outcome: 'ok',
  error: 'upstream_error',
  usage: { ...NO_USAGE, inputTokens: 1, outputTokens: 1 },
  costNanoUsd: 1,
  unpriced: true,
  attempts: [{ provider: 'openai', status: 200, totalMs: 1 }],
  warnings: [],
  requestBytes: 1,
  responseBytes: 1,
  firstByteMs: 1,
  totalMs: 1,
  overheadMs: 1,
};

async function exposition() {
  const metrics = createMetrics({
    version: '0',
    workers: () => [{ worker: 0, inflight: 0, loopDelayP99Ms: 0 }],
    mainLoopDelayP99Ms: () => 0,
    inflightBytes: () => 0,
    journalLagBytes: () => 0,
    store: () => ({ isUp: true, lagBytes: 0 }),
    targets: () => [{ target: 'p/m', state: 'closed', inflight: 0 }],
    agents: () => [{ agent: 'a', state: 'healthy' }],
  });
  metrics.observe(FACT);
  return metrics.text();
}

/** Of the labels `le` is Prometheus's own. */
function labelsOf(name, text) {
  const sample = new RegExp(`^${name}(?:_bucket)?\\{([^}]*)\\}`, 'm').exec(text)?.[1] ?? '';
  return [...sample.matchAll(/(\w+)="/g)].map(([, label]) => label).filter((label) => label !== 'le');
}

export async function metricsPage() {
  const text = await exposition();
  const rows = [...text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$/gm)].map(([, name, help, type]) => [
    code(name),
    type,
    labelsOf(name, text).map(code).join(' '),
    `${help}.`,
  ]);
  return `# Metrics

\`GET /metrics\` speaks Prometheus's text format, on the public port, and needs the admin key:

\`\`\`yaml
scrape_configs:
  - job_name: signalbox
    authorization: { credentials_file: /etc/prometheus/signalbox-admin-key }
    static_configs: [{ targets: ["127.0.0.1:4000"] }]
\`\`\`

Counters and histograms are folds of the facts, one per exchange, counted when it ends; they begin at zero with the process. Values of \`model\`, \`provider\` and
\`key\` are names of the configuration, those of the others come from closed lists: no request can make a new series. A label is empty where an exchange
did not get that far: one without a known key has no \`key\`, one that was refused has no \`provider\`.

${table(['Metric', 'Type', 'Labels', 'Meaning'], rows)}

| label | values |
| --- | --- |
| \`surface\` | \`chat\`, \`messages\`, \`count_tokens\`, \`responses\`, \`embeddings\`, \`a2a\` |
| \`outcome\` | \`ok\`, \`refused\`, \`upstream_error\`, \`upstream_incomplete\`, \`client_gone\`, \`internal_error\` |
| \`code\` | [errors.md](errors.md) |
| \`kind\` | \`input\`, \`output\`, \`cache_read\`, \`cache_write\`, \`reasoning\`; the last three are parts of the first two |
| \`result\` | the class of the provider's status (\`2xx\`), or the error code where none came |
| \`thread\` | \`main\`, \`worker-0\`, \`worker-1\`, … |

## What to watch

- \`rate(signalbox_errors_total[5m])\` by \`provider\` and \`code\`: whose fault, and which.
- \`signalbox_loop_delay_p99_seconds\` above 0.05: the workers have more than they can do.
- \`signalbox_journal_lag_bytes\` that grows: the main thread does not keep up with the facts; metrics, traces and log are late.
- \`signalbox_inflight_bytes\` near \`server.max_inflight_bytes\`: new work is about to be refused with 503.
- \`signalbox_agent_state\` of 2: an agent that takes no new work; why stands in \`/v1/agents\`.
- \`rate(signalbox_unpriced_total[1h])\`: exchanges whose cost nobody knows; give their targets a \`price\`.
`;
}
