/** When what a send comes to has ended, result by result. */
import { type Seen, endsStream, isTerminal } from '../../agents/a2a/read.ts';

export interface Ending {
  /** Whether it has ended with this result. */
  after: (seen: Seen | undefined) => boolean;
  /** The same once it is known that no more comes. */
  atLast: () => boolean;
  /** Nothing was told beyond what may have been before. */
  readonly isOpen: boolean;
}

/** `isFollowUp`: the message went to a task that was there. What that waited for stands first in what many agents answer, and is no end unless it is all. */
export function endingOf(isFollowUp: boolean): Ending {
  let isDone = false;
  let isWaiting = false;
  let isFirst = true;
  return {
    after(seen) {
      const ends = seen !== undefined && endsStream(seen);
      isWaiting = ends && isFollowUp && isFirst && seen.kind === 'task' && !isTerminal(seen.state);
      isDone ||= ends && !isWaiting;
      isFirst = false;
      return isDone;
    },
    atLast: () => isDone || isWaiting,
    get isOpen() {
      return isFollowUp && (isFirst || isWaiting);
    },
  };
}
