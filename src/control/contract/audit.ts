/** The audit log as the control plane writes it. */
import type { Identity } from './actor.ts';
import type { Change } from './route.ts';

export interface AuditedAction extends Identity {
  /** `key.create`. */
  action: string;
  ip: string;
  requestId: string;
  /** What the path names, where it names something. */
  target?: string | undefined;
}

export interface AuditTrail {
  /**
   * Written before an action is taken: rejects where it cannot be, and then the action must not be taken. The answer takes what came of it; rejects where
   * that cannot be written.
   */
  begin(action: AuditedAction): Promise<{
    done: (change: Change) => Promise<void>;
    failed: (code: string) => Promise<void>;
  }>;
}
