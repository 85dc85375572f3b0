/** Push configurations in the words of both versions. Sources: A2A 1.0.1 §3.1.7–10, A2A 0.3.0 §7.5–8; REST of 0.3 has the messages of `a2a.v1`. */
import type { PushShown, PushTarget } from '../../core/push.ts';
import type { JsonObject, ProtocolVersion } from './methods.ts';
import { ProtocolError } from './protocol.ts';
import { PUSH_MEMBER, objectOf } from './read.ts';

/** What a client wishes. */
export interface PushWish {
  /** '' where it gives none. */
  configId: string;
  target: PushTarget;
}

/** In which words a client speaks. */
export interface PushForm {
  form: 'rpc' | 'rest';
  version: ProtocolVersion;
}

/** From the parameters of a creation. Throws -32602. */
export function wishOf(version: ProtocolVersion, params: JsonObject): PushWish {
  const { config, pushNotificationConfig, push_notification_config: other } = params;
  const named = objectOf(pushNotificationConfig) ?? objectOf(other);
  if (named !== undefined) return wishIn(named);
  const inner = objectOf(config);
  if (inner !== undefined) return wishOf(version, inner);
  if (version === '1.0') return wishIn(params);
  throw unreadable('`pushNotificationConfig` is missing');
}

/** The one that comes along with a message; `configuration` of the call. Throws -32602. */
export function wishAlong(configuration: JsonObject): PushWish {
  const named = Object.entries(configuration).filter(([name, value]) => PUSH_MEMBER.test(name) && value !== null && value !== '');
  const [config] = named.map(([, value]) => objectOf(value));
  if (named.length !== 1 || config === undefined) throw unreadable('it must be one object');
  return wishIn(config);
}

const MAX_URL = 2_048;
const MAX_ID = 512;
const MAX_SECRET = 4_096;
/** What a header may hold. */
const PLAIN = /^[\u0021-\u007e](?:[\u0020-\u007e]*[\u0021-\u007e])?$/;
const SCHEME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;

function wishIn({ id, url, token, authentication }: JsonObject): PushWish {
  const { scheme, schemes, credentials } = objectOf(authentication) ?? {};
  const named = isThere(scheme) || !Array.isArray(schemes) ? scheme : schemes[0];
  require(isPlace(url), `\`url\` must be an http or https URL of at most ${MAX_URL} characters, without a user`);
  require(!isThere(id) || isName(id), `\`id\` must be a text of at most ${MAX_ID} characters without a slash`);
  require(!isThere(named) || (typeof named === 'string' && SCHEME.test(named)), 'the scheme is none of HTTP');
  require([token, credentials].every((each) => !isThere(each) || isSecret(each)), 'token and credentials must fit into a header');
  return {
    configId: isThere(id) ? (id as string) : '',
    target: { url: url as string, ...given('token', token), ...given('scheme', named), ...given('credentials', credentials) },
  };
}

function require(holds: boolean, why: string): void {
  if (!holds) throw unreadable(why);
}

function isPlace(url: unknown): boolean {
  const parsed = typeof url === 'string' && url.length <= MAX_URL ? URL.parse(url) : null;
  return parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.username === '' && parsed.password === '';
}

function isSecret(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_SECRET && PLAIN.test(value);
}

function isName(id: unknown): boolean {
  return typeof id === 'string' && id.length <= MAX_ID && id !== '.' && id !== '..' && !/[/\p{Cc}]/u.test(id);
}

/** The empty text is how protobuf writes what is absent. */
function isThere(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function given<Name extends string>(name: Name, value: unknown): { [Key in Name]?: string } {
  return (isThere(value) ? { [name]: value } : {}) as { [Key in Name]?: string };
}

function unreadable(why: string): ProtocolError {
  return new ProtocolError(-32602, `The push configuration cannot be read: ${why}`);
}

/** Which configuration of its task is meant; '' where that is not said. Both versions have another name for it, REST has it in the path. */
export function configIdOf({ form, version }: PushForm, { id, pushNotificationConfigId }: JsonObject): string {
  const named = form === 'rest' || version === '1.0' ? id : pushNotificationConfigId;
  return typeof named === 'string' ? named : '';
}

/** As a client gets it; its secrets are never told again. */
export function shownIn({ form, version }: PushForm, { id, task, url, scheme }: PushShown): JsonObject {
  if (version === '1.0') return { taskId: task, id, url, ...(scheme !== undefined && { authentication: { scheme } }) };
  const pushNotificationConfig = { id, url, ...(scheme !== undefined && { authentication: { schemes: [scheme] } }) };
  if (form === 'rpc') return { taskId: task, pushNotificationConfig };
  return { name: `tasks/${task}/pushNotificationConfigs/${id}`, pushNotificationConfig };
}

export function listIn(form: PushForm, shown: readonly PushShown[]): unknown {
  const configs = shown.map((each) => shownIn(form, each));
  return form.form === 'rpc' && form.version === '0.3' ? configs : { configs, nextPageToken: '' };
}

/** Ours, as an agent gets it. */
export interface OwnPush {
  id: string;
  url: string;
  token: string;
}

/** As parameters of JSON-RPC 1.0. */
export function ownFor(task: string, { id, url, token }: OwnPush): JsonObject {
  return { taskId: task, id, url, token, authentication: { scheme: 'Bearer', credentials: token } };
}

/** A configuration of a call with ours in place of the client's. */
export function ownAlong({ form, version }: PushForm, configuration: JsonObject, { id, url, token }: OwnPush): JsonObject {
  const others = Object.entries(configuration).filter(([name]) => !PUSH_MEMBER.test(name));
  const authentication = version === '1.0' ? { scheme: 'Bearer' } : { schemes: ['Bearer'] };
  const own = { id, url, token, authentication: { ...authentication, credentials: token } };
  const legacy = form === 'rest' ? 'pushNotification' : 'pushNotificationConfig';
  return { ...Object.fromEntries(others), [version === '1.0' ? 'taskPushNotificationConfig' : legacy]: own };
}
