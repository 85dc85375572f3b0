/** Which tools the demo calls. */
import type { ChatRequest, ChatTool } from '../../core/chat.ts';

type FunctionTool = Extract<ChatTool, { type: 'function' }>;

/**
 * The tool the caller names; one or more that the last message mentions; the first where some tool is required. None right after
 * a tool's result, so that every agent loop ends, whatever it requires.
 */
export function chosenTools(request: ChatRequest): FunctionTool[] {
  const tools = request.tools.filter((tool): tool is FunctionTool => tool.type === 'function');
  const last = request.messages.at(-1);
  if (last?.role !== 'user' || last.content.some(({ type }) => type === 'tool_result')) return [];
  const choice = request.toolChoice ?? { type: 'auto' };
  if (choice.type === 'none') return [];
  if (choice.type === 'tool') return tools.filter(({ name }) => name === choice.name).slice(0, 1);
  const said = plain(last.content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join(' '));
  const mentioned = tools.filter(({ name }) => said.includes(plain(name)));
  const wanted = mentioned.length === 0 && choice.type === 'required' ? tools.slice(0, 1) : mentioned;
  return request.parallelToolCalls === false ? wanted.slice(0, 1) : wanted;
}

/** `Use get_weather!` and `get weather` mention the same tool. */
function plain(text: string): string {
  return ` ${text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()} `;
}
