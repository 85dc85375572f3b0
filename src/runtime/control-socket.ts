/** The control plane's socket; its routes are made when the first request needs them. */
import type { Snapshot } from '../config/snapshot.ts';
import type { AgentDesk } from '../agents/desk.ts';
import type { DirectoryService } from '../control/directory/directory.ts';
import type { PeopleDesk } from '../control/people/desk.ts';
import { serveControl } from '../control/server.ts';
import type { Keyring } from '../lib/seal.ts';
import type { Store } from '../store/store.ts';
import type { Control } from './messages.ts';
import { openModelAgents } from './model-agents.ts';
import type { SharedOverview } from './shared-state.ts';
import { errorText } from './start-error.ts';
import type { SlotBook } from './slots.ts';
import type { Supervisor } from './supervisor.ts';

export interface ControlSocketParts {
  socketPath: string;
  version: string;
  configPath: string | undefined;
  control: Control;
  supervisor: Supervisor;
  store: Store;
  directory: DirectoryService;
  agents: AgentDesk;
  shared: Pick<SharedOverview, 'targets'>;
  slots: SlotBook;
  people: PeopleDesk;
  ring: Keyring;
  snapshot: () => Snapshot;
}

export function openControl({ socketPath, supervisor, ...parts }: ControlSocketParts): ReturnType<typeof serveControl> {
  const { control } = parts;
  const modelAgents = openModelAgents({ ...parts, controlSocketPath: socketPath });
  return serveControl({
    socketPath,
    extra: (request, response) => modelAgents(request, response) || control.extra(request, response),
    app: async () => {
      const { controlAppOf } = await import('./control-app.ts');
      return controlAppOf({ ...parts, workers: () => supervisor.status(), uptimeMs: () => process.uptime() * 1000 });
    },
    onFailure: (error) => control.log('error', { error: errorText(error) }, 'the control plane failed to answer'),
  });
}
