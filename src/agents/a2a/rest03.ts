/**
 * REST of 0.3 speaks the JSON of its proto (A2A 0.3.0 §3.2.3, `a2a.proto` of `a2a.v1`), JSON-RPC of 0.3 that of its schema: the same messages, with other names for roles,
 * states and parts.
 */
import type { JsonObject, Operation } from './methods.ts';
import { objectOf, stateNamed } from './read.ts';

/** Parameters as JSON-RPC of 0.3 has them, from the body and the path of a REST call. */
export function paramsFromRest(operation: Operation, body: JsonObject, path: JsonObject): JsonObject {
  if (operation === 'send' || operation === 'stream') {
    const { request, message, configuration, metadata } = body;
    const sent = objectOf(request) ?? objectOf(message);
    return {
      ...(sent !== undefined && { message: { kind: 'message', ...messageFrom(sent) } }),
      ...(objectOf(configuration) !== undefined && { configuration: configurationFrom(objectOf(configuration)!) }),
      ...(metadata !== undefined && { metadata }),
    };
  }
  const { id, ...rest } = path;
  return { ...rest, id };
}

function configurationFrom({ pushNotification, ...rest }: JsonObject): JsonObject {
  return { ...rest, ...(pushNotification !== undefined && { pushNotificationConfig: pushNotification }) };
}

function messageFrom({ role, content, parts, ...rest }: JsonObject): JsonObject {
  const list = Array.isArray(content) ? content : Array.isArray(parts) ? parts : [];
  return { ...rest, role: role === 'ROLE_AGENT' || role === 'agent' ? 'agent' : 'user', parts: list.map(partFrom) };
}

function partFrom(part: unknown): unknown {
  const { text, file, data, kind: _, ...rest } = objectOf(part) ?? {};
  if (typeof text === 'string') return { kind: 'text', text, ...rest };
  const inner = objectOf(file);
  if (inner !== undefined) {
    const { fileWithUri, fileWithBytes, ...about } = inner;
    return {
      kind: 'file',
      file: {
        ...about,
        ...(typeof fileWithUri === 'string' && { uri: fileWithUri }),
        ...(typeof fileWithBytes === 'string' && { bytes: fileWithBytes }),
      },
      ...rest,
    };
  }
  return { kind: 'data', data: objectOf(objectOf(data)?.data) ?? data ?? {}, ...rest };
}

/** What REST answers, from JSON-RPC's result. */
export function resultToRest(operation: Operation, result: unknown): unknown {
  if (operation === 'send') return eventToRest(result);
  if (operation === 'get' || operation === 'cancel') return taskTo(objectOf(result) ?? {});
  return result;
}

/** What an event of a REST stream carries. */
export function eventToRest(event: unknown): unknown {
  const told = objectOf(event) ?? {};
  const { kind, ...rest } = told;
  if (kind === 'task') return { task: taskTo(told) };
  if (kind === 'message') return { message: messageTo(told) };
  if (kind === 'status-update') return { statusUpdate: { ...rest, status: statusTo(objectOf(rest.status) ?? {}) } };
  if (kind === 'artifact-update') return { artifactUpdate: { ...rest, artifact: artifactTo(rest.artifact) } };
  return event;
}

function taskTo(task: JsonObject): JsonObject {
  const { kind: _, status, artifacts, history, ...rest } = task;
  return {
    ...rest,
    status: statusTo(objectOf(status) ?? {}),
    ...(Array.isArray(artifacts) && { artifacts: artifacts.map(artifactTo) }),
    ...(Array.isArray(history) && { history: history.map((each) => messageTo(objectOf(each) ?? {})) }),
  };
}

function statusTo({ state, message, ...rest }: JsonObject): JsonObject {
  const told = objectOf(message);
  return { ...rest, state: stateTo(state), ...(told !== undefined && { message: messageTo(told) }) };
}

/** The proto spells `canceled` with two l. */
function stateTo(state: unknown): string {
  const named = stateNamed(state) ?? 'unspecified';
  if (named === 'canceled') return 'TASK_STATE_CANCELLED';
  return `TASK_STATE_${(named === 'unknown' ? 'unspecified' : named).toUpperCase().replaceAll('-', '_')}`;
}

function messageTo(message: JsonObject): JsonObject {
  const { kind: _, role, parts, ...rest } = message;
  return {
    ...rest,
    role: role === 'agent' ? 'ROLE_AGENT' : 'ROLE_USER',
    content: Array.isArray(parts) ? parts.map(partTo) : [],
  };
}

function artifactTo(artifact: unknown): JsonObject {
  const { parts, ...rest } = objectOf(artifact) ?? {};
  return { ...rest, parts: Array.isArray(parts) ? parts.map(partTo) : [] };
}

function partTo(part: unknown): unknown {
  const { kind, text, file, data, ...rest } = objectOf(part) ?? {};
  if (kind === 'text') return { text, ...rest };
  if (kind === 'data') return { data: { data }, ...rest };
  const { uri, bytes, ...about } = objectOf(file) ?? {};
  return {
    file: {
      ...about,
      ...(typeof uri === 'string' && { fileWithUri: uri }),
      ...(typeof bytes === 'string' && { fileWithBytes: bytes }),
    },
    ...rest,
  };
}
