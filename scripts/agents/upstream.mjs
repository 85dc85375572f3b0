/**
 * A provider for command-line agents to meet behind Signalbox: it speaks Chat Completions, Responses and Messages, streamed and whole. Asked
 * with a tool that reads files, it has the file read first; then it says the word it was told. So an answer with the word in it has gone
 * through the whole loop: question, call, result, answer.
 */
import { createServer } from 'node:http';

/** How each agent's tool for reading is called. */
const READERS = {
  Read: (path) => ({ file_path: path }),
  read: (path) => ({ filePath: path }),
  read_file: (path) => ({ file_path: path }),
  exec_command: (path) => ({ cmd: `cat '${path}'` }),
};
const WORD = /lantern-\d+/;
const NO_FILE = 'Of signals and lanterns';

/** The answer that only the loop can give; the file itself says the word alone. */
export function sentenceWith(word) {
  return `The signal is clear, and the word is ${word ?? 'not in what I was told'}.`;
}

/** @returns {Promise<{ url: string, requests: { path: string, tools: string[] }[], close: () => Promise<void> }>} */
export async function startUpstream(filePath) {
  const requests = [];
  const answer = async (request, response) => {
    const bytes = await request.toArray();
    const path = new URL(request.url, 'http://upstream').pathname;
    const body = bytes.length === 0 ? {} : JSON.parse(Buffer.concat(bytes).toString('utf8'));
    requests.push({ path, tools: toolNames(body) });
    const surface = SURFACES[path];
    if (surface === undefined) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"no such path"}}');
      return;
    }
    surface(response, body, turnFor(body, filePath));
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

function toolNames({ tools = [] }) {
  return tools.map((tool) => tool.function?.name ?? tool.name ?? tool.type);
}

/** What to answer: a call of the reading tool, or a text. */
function turnFor(body, filePath) {
  const results = resultsIn(body);
  if (results !== '') return { text: sentenceWith(WORD.exec(results)?.[0]) };
  const name = toolNames(body).find((tool) => tool in READERS);
  return name === undefined ? { text: NO_FILE } : { name, input: READERS[name](filePath) };
}

/** The results of tools in a request of any of the dialects, as text. */
function resultsIn({ messages = [], input = [] }) {
  const items = [...messages, ...(Array.isArray(input) ? input : [])];
  const results = items.flatMap((item) => {
    if (item.role === 'tool' || item.type === 'function_call_output') return [item];
    return Array.isArray(item.content) ? item.content.filter(({ type }) => type === 'tool_result') : [];
  });
  return results.length === 0 ? '' : JSON.stringify(results);
}

function sendJson(response, body) {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** `events`: each its `event:` name, undefined where the dialect has none, and its data. */
function sendEvents(response, events) {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  for (const [name, data] of events) {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    response.write(`${name === undefined ? '' : `event: ${name}\n`}data: ${text}\n\n`);
  }
  response.end();
}

const words = (text) => text.split(/(?<= )/);
const CHAT_USAGE = { prompt_tokens: 120, completion_tokens: 12, total_tokens: 132 };

function chat(response, { model, stream }, turn) {
  const head = { id: 'chatcmpl-agents', created: 1_800_000_000, model };
  const call = { id: 'call_agents1', type: 'function', function: { name: turn.name, arguments: JSON.stringify(turn.input) } };
  const finish = turn.name === undefined ? 'stop' : 'tool_calls';
  if (stream !== true) {
    const message = { role: 'assistant', content: turn.text ?? null, refusal: null, ...(turn.name && { tool_calls: [call] }) };
    const choices = [{ index: 0, message, logprobs: null, finish_reason: finish }];
    return sendJson(response, { ...head, object: 'chat.completion', choices, usage: CHAT_USAGE });
  }
  const chunk = (delta, finish_reason = null) => [
    undefined,
    { ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, logprobs: null, finish_reason }] },
  ];
  const pieces = call.function.arguments?.match(/.{1,12}/g) ?? [];
  const deltas =
    turn.name === undefined
      ? words(turn.text).map((content) => ({ content }))
      : [
          { tool_calls: [{ index: 0, ...call, function: { name: turn.name, arguments: '' } }] },
          ...pieces.map((piece) => ({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
        ];
  return sendEvents(response, [
    chunk({ role: 'assistant', content: turn.name === undefined ? '' : null }),
    ...deltas.map((delta) => chunk(delta)),
    chunk({}, finish),
    [undefined, { ...head, object: 'chat.completion.chunk', choices: [], usage: CHAT_USAGE }],
    [undefined, '[DONE]'],
  ]);
}

function messages(response, { model, stream }, turn) {
  const isText = turn.name === undefined;
  const block = isText
    ? { type: 'text', text: turn.text }
    : { type: 'tool_use', id: 'toolu_agents1', name: turn.name, input: turn.input };
  const usage = { input_tokens: 120, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 12 };
  const message = { id: 'msg_agents', type: 'message', role: 'assistant', model, content: [block] };
  const stop = { stop_reason: isText ? 'end_turn' : 'tool_use', stop_sequence: null };
  if (stream !== true) return sendJson(response, { ...message, ...stop, usage });
  const json = JSON.stringify(turn.input) ?? '';
  const deltas = isText
    ? words(turn.text).map((text) => ({ type: 'text_delta', text }))
    : json.match(/.{1,12}/g).map((partial_json) => ({ type: 'input_json_delta', partial_json }));
  const begun = { ...message, content: [], stop_reason: null, stop_sequence: null, usage: { ...usage, output_tokens: 1 } };
  const events = [
    { type: 'message_start', message: begun },
    { type: 'content_block_start', index: 0, content_block: isText ? { type: 'text', text: '' } : { ...block, input: {} } },
    { type: 'ping' },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index: 0, delta })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: stop, usage: { output_tokens: 12 } },
    { type: 'message_stop' },
  ];
  return sendEvents(
    response,
    events.map((event) => [event.type, event]),
  );
}

function textDelta({ id: item_id }, delta) {
  return { type: 'response.output_text.delta', output_index: 0, item_id, content_index: 0, delta };
}

function responses(response, { model, stream }, turn) {
  const isText = turn.name === undefined;
  const part = { type: 'output_text', text: turn.text, annotations: [], logprobs: [] };
  const item = isText
    ? { id: 'msg_agents', type: 'message', status: 'completed', role: 'assistant', content: [part] }
    : {
        id: 'fc_agents',
        type: 'function_call',
        status: 'completed',
        call_id: 'call_agents1',
        name: turn.name,
        arguments: JSON.stringify(turn.input),
      };
  const usage = {
    input_tokens: 120,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 12,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 132,
  };
  const whole = {
    id: 'resp_agents',
    object: 'response',
    created_at: 1_800_000_000,
    model,
    status: 'completed',
    error: null,
    output: [item],
    usage,
  };
  if (stream !== true) return sendJson(response, whole);
  const begun = { ...whole, status: 'in_progress', output: [], usage: null };
  const at = { output_index: 0, item_id: item.id };
  const inside = isText
    ? [
        { type: 'response.content_part.added', ...at, content_index: 0, part: { ...part, text: '' } },
        ...words(turn.text).map((delta) => textDelta(item, delta)),
        { type: 'response.output_text.done', ...at, content_index: 0, text: turn.text },
        { type: 'response.content_part.done', ...at, content_index: 0, part },
      ]
    : [
        { type: 'response.function_call_arguments.delta', ...at, delta: item.arguments },
        { type: 'response.function_call_arguments.done', ...at, arguments: item.arguments },
      ];
  const events = [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
    {
      type: 'response.output_item.added',
      output_index: 0,
      item: { ...item, status: 'in_progress', ...(isText ? { content: [] } : { arguments: '' }) },
    },
    ...inside,
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: whole },
  ];
  return sendEvents(
    response,
    events.map((event, sequence_number) => [event.type, { ...event, sequence_number }]),
  );
}

const SURFACES = {
  '/v1/chat/completions': chat,
  '/v1/messages': messages,
  '/v1/messages/count_tokens': (response) => sendJson(response, { input_tokens: 120 }),
  '/v1/responses': responses,
};
