import type { Config } from './schema.ts';
import type { GuardSettings } from './snapshot.ts';

export function resolveGuard(config: Config['guards'][number]): GuardSettings {
  return {
    name: config.name,
    url: config.url,
    secret: config.secret,
    stages: config.on,
    ...(config.models !== undefined && { models: config.models }),
    ...(config.keys !== undefined && { keys: config.keys }),
    timeoutMs: config.timeout_ms,
    onFailure: config.on_failure,
    holdsStreams: config.hold_streams,
  };
}
