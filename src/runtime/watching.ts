/** The configuration while it is watched: what changes in it is put in force, and what came of that is logged. */
import { type Candidate, type Live, type LiveOptions, type Reload, watchConfig } from '../config/live.ts';
import { formatIssue } from '../config/issue.ts';
import type { Control, Log } from './messages.ts';
import { errorText } from './start-error.ts';

/** `apply`: puts a snapshot in force. */
export function watching(
  { config, log }: Control,
  { snapshot: current, files }: Candidate & { ok: true },
  apply: LiveOptions['apply'],
): Live {
  return watchConfig({ current, files, load: config.load, apply, report: reporter(log) });
}

function reporter(log: Log): (reload: Reload) => void {
  return (reload) => {
    if (reload.outcome === 'swapped') log('info', { snapshot: reload.snapshot.hash }, 'the new configuration is in force');
    else if (reload.outcome === 'failed')
      log('error', { error: errorText(reload.error) }, 'the reload failed; the old configuration stays in force');
    else if (reload.outcome === 'refused') {
      log('error', { errors: reload.issues.map(formatIssue) }, 'the new configuration is not valid; the old one stays in force');
    }
  };
}
