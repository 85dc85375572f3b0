/**
 * The requirements of a2a-tck on push notifications, of each subject as its card wants it: where that promises them, configurations live and are called; where it does not,
 * every operation is refused by name. The agent itself promises them, so both halves run.
 */
import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { DIRECT, GATEWAY_10, type Subject, type TckBox, idOf, startTckBox } from '../support/a2a-tck-box.ts';
import {
  type Answer,
  type Json,
  type Place,
  ask,
  faultsOfError,
  listAt,
  objectAt,
  resultOf,
  stateIn,
  taskIn,
} from '../support/a2a-tck-wire.ts';
import { type WebhookReceiver, startWebhookReceiver } from '../support/webhook-receiver.ts';

let tck: TckBox;
let hook: WebhookReceiver;
beforeAll(async () => {
  [tck, hook] = await Promise.all([startTckBox(), startWebhookReceiver('nothing-is-signed-here')]);
});
afterAll(async () => {
  await tck?.close();
  await hook?.close();
});

async function promisesPush(subject: Subject): Promise<boolean> {
  const base = subject.via === 'directly' ? tck.agents.tck.base : tck.box.urlOf('tck');
  const { headers } = tck.placeOf(subject);
  const card = (await (await fetch(`${base}/.well-known/agent-card.json`, { headers })).json()) as Json;
  return objectAt(card, 'capabilities')?.['pushNotifications'] === true;
}

const VERBS = ['pushCreate', 'pushGet', 'pushList', 'pushDelete'] as const;

/** None of the operations does anything. */
async function expectRefused(here: Place, id: string): Promise<void> {
  for (const verb of VERBS) {
    const answer = await ask(here, verb, { id, configId: 'one', push: { url: hook.url } });
    expect([verb, ...faultsOfError(answer, 'PushNotificationNotSupported')]).toEqual([verb]);
  }
}

const waiting = async (here: Place): Promise<string> =>
  String(taskIn(resultOf(await ask(here, 'send', { message: { messageId: idOf('tck-input-required') } })))!['id']);

const configured = (here: Place, id: string, configId: string, more: Json = {}): Promise<Answer> =>
  ask(here, 'pushCreate', { id, configId, push: { url: `${hook.url}/${configId}`, ...more } });

const isError = ({ place, status, body }: Answer): boolean => (place.form === 'JSON-RPC' ? 'error' in body : status >= 400);

describe.each([...GATEWAY_10, ...DIRECT])('$via, $form', (subject) => {
  const here = (): Place => tck.placeOf(subject);

  test('CORE-CAP-001: what the card does not promise is refused by its name', async () => {
    const bare = tck.placeOf(subject, 'tck-bare');
    await expectRefused(bare, await waiting(bare));
    if (!(await promisesPush(subject))) await expectRefused(here(), await waiting(here()));
  });

  test('PUSH-CREATE-001, PUSH-CREATE-002, PUSH-GET-001, PUSH-GET-002, PUSH-LIST-001, PUSH-DEL-001, PUSH-DEL-002: configurations live and go, or are refused', async () => {
    const id = await waiting(here());
    if (!(await promisesPush(subject))) return expectRefused(here(), id);
    for (const configId of ['one', 'two']) {
      expect(resultOf(await configured(here(), id, configId))).toMatchObject({ id: configId, url: `${hook.url}/${configId}` });
    }
    expect(resultOf(await ask(here(), 'pushGet', { id, configId: 'one' }))).toMatchObject({ id: 'one', url: `${hook.url}/one` });
    expect(isError(await ask(here(), 'pushGet', { id, configId: 'three' }))).toBe(true);
    // A later turn of the task takes none of them away.
    await ask(here(), 'send', { message: { messageId: idOf('tck-input-required'), taskId: id } });
    const idsNow = async () => listAt(resultOf(await ask(here(), 'pushList', { id })), 'configs').map((each) => each['id']);
    expect(new Set(await idsNow())).toEqual(new Set(['one', 'two']));
    for (let times = 0; times < 2; times++) expect(isError(await ask(here(), 'pushDelete', { id, configId: 'one' }))).toBe(false);
    expect(await idsNow()).toEqual(['two']);
    expect(isError(await ask(here(), 'pushGet', { id, configId: 'one' }))).toBe(true);
  });

  test('PUSH-DELIVER-001, PUSH-DELIVER-002, PUSH-DELIVER-003: what happens is told to the webhook with its credentials, or it is refused', async () => {
    const id = await waiting(here());
    if (!(await promisesPush(subject))) return expectRefused(here(), id);
    const configId = `delivered-${randomUUID()}`;
    expect(
      isError(await configured(here(), id, configId, { authentication: { scheme: 'Bearer', credentials: 'of-the-client' } })),
    ).toBe(false);
    await ask(here(), 'send', { message: { messageId: idOf('tck-complete-task'), taskId: id } });
    const calls = () => hook.calls.filter(({ path }) => path === `/${configId}`);
    await expect
      .poll(() => calls().some(({ body }) => stateIn(objectAt(body, 'statusUpdate')) === 'completed'), { timeout: 5_000 })
      .toBe(true);
    for (const { headers, body } of calls()) {
      expect(headers.authorization).toBe('Bearer of-the-client');
      expect(
        Object.keys(body).filter((name) => ['task', 'message', 'statusUpdate', 'artifactUpdate'].includes(name)),
      ).toHaveLength(1);
    }
  });
});
