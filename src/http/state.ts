/** All that the edge derives from its settings, made once per snapshot. */
import { createBodyReader } from './body.ts';
import type { EdgeOptions, EdgeSettings } from './edge.ts';
import { type ClientAddress, createClientAddress } from './forwarded.ts';
import { createHostCheck, type HostCheck } from './host.ts';
import type { RequestTools } from './request.ts';

export interface EdgeState {
  settings: EdgeSettings;
  tools: RequestTools;
  clientAddress: ClientAddress;
  hostFault: HostCheck;
}

/** The body reader and its timer outlive reloads. */
export function createStateMaker(options: EdgeOptions): (settings: EdgeSettings, loopbackOnly: boolean) => EdgeState {
  const bodies = createBodyReader({ nowMs: () => performance.now() });
  const { reserveBytes, releaseBytes } = options;
  return (settings, loopbackOnly) => ({
    settings,
    tools: { settings, bodies, reserveBytes, releaseBytes },
    clientAddress: createClientAddress(settings.trustedProxies),
    hostFault: createHostCheck({ loopbackOnly, publicUrl: settings.publicUrl }),
  });
}
