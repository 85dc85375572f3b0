/** What an agent posts, in the version in which its client wants to be told. The SDK is loaded at the first that must be translated. */
import type { JsonObject, ProtocolVersion } from './methods.ts';
import { objectOf } from './read.ts';

export interface PushBodies {
  /** JSON text. Rejects where the body is none that the SDK can read. */
  inVersion(version: ProtocolVersion, body: JsonObject): Promise<string>;
}

export function createPushBodies(): PushBodies {
  let loading: ReturnType<typeof loadSdk> | undefined;
  return {
    async inVersion(version, body) {
      if (versionOfBody(body) === version) return JSON.stringify(body);
      loading ??= loadSdk();
      const { StreamResponse, legacyPushNotificationToV1StreamResponse, V03PushNotificationSerializer } = await loading;
      if (version === '1.0') {
        return JSON.stringify(StreamResponse.toJSON(legacyPushNotificationToV1StreamResponse({ kind: 'task', ...body })));
      }
      return new V03PushNotificationSerializer().serialize(StreamResponse.fromJSON(body)).body;
    },
  };
}

async function loadSdk() {
  const [{ StreamResponse }, { legacyPushNotificationToV1StreamResponse }, { V03PushNotificationSerializer }] = await Promise.all(
    [import('@a2a-js/sdk'), import('@a2a-js/sdk/compat/v0_3'), import('@a2a-js/sdk/compat/v0_3/server')],
  );
  return { StreamResponse, legacyPushNotificationToV1StreamResponse, V03PushNotificationSerializer };
}

const WRAPPERS = ['task', 'message', 'statusUpdate', 'artifactUpdate'];

/** 1.0 wraps the event, 0.3 does not. */
function versionOfBody(body: JsonObject): ProtocolVersion {
  return typeof body.kind !== 'string' && WRAPPERS.some((name) => objectOf(body[name]) !== undefined) ? '1.0' : '0.3';
}

/** A piece that is appended: the same piece twice is no repetition. */
export function isAppended(body: JsonObject): boolean {
  const update = objectOf(body.artifactUpdate) ?? (body.kind === 'artifact-update' ? body : {});
  return update.append === true;
}
