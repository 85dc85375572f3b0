/**
 * node:http as `require` gives it. An ES import of it reads every export to make bindings, the lazy `WebSocket` among them, which loads all of
 * Node's bundled fetch: 14 MB and 38 ms in every thread, for something that throws here anyway (upstream/guard.ts).
 */
export const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http');
