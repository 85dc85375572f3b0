/** One server-sent event as the HTML standard defines it (§9.2.6): fields joined, terminator removed. */
export interface SseEvent {
  /** `event:` field; `message` where absent. */
  event: string;
  /** `data:` lines joined by LF. */
  data: string;
}
