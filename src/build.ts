/**
 * The composition root of a worker: the only file that knows every part of the data plane. The control plane's is build-control.ts, a file of
 * its own so that no worker loads what only the main thread needs.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';

import type { Snapshot } from './config/snapshot.ts';
import type { AgentNews } from './core/agent.ts';
import { workerSocketPath } from './core/agent-behind.ts';
import { GatewayError } from './core/errors.ts';
import { createEstimator } from './ledger/estimate.ts';
import { createWindows } from './ledger/window.ts';
import { behindRoute, createBehindSettings } from './gateway/agents/behind-route.ts';
import { createAgentSide } from './gateway/agents/side.ts';
import { type Exchange, cut } from './gateway/exchange.ts';
import { type Line, createLine } from './gateway/line.ts';
import type { Plane } from './gateway/plane.ts';
import type { Readiness } from './gateway/health.ts';
import { createPrices } from './gateway/prices.ts';
import { refusedFact } from './gateway/refused.ts';
import { errorBody, routeTable } from './gateway/routes.ts';
import { type TokensParts, createTokens } from './gateway/tokens.ts';
import type { Edge, Refusal } from './http/edge.ts';
import { createEdge } from './http/server.ts';
import { createIdSource } from './lib/ids.ts';
import { bodyBelonging, sealUnder } from './lib/seal.ts';
import { createTranslator } from './agents/a2a/translate.ts';
import { createAgentBook } from './agents/book.ts';
import { createDirectoryIndex } from './policy/directory-index.ts';
import type { CallerOfToken } from './policy/jwt.ts';
import { createEndUsers } from './policy/end-users.ts';
import { createRaise } from './policy/raise.ts';
import { createTokenHistory } from './policy/token-history.ts';
import { createWarmPrompts } from './routing/warm-prompts.ts';
import type { DataPlane, WorkerContext } from './runtime/messages.ts';
import { type Egress, createEgress } from './upstream/egress.ts';
import { createSend } from './upstream/send.ts';
import { createWheel } from './upstream/wheel.ts';

/** Coarse on purpose: deadlines of seconds and minutes need no better. */
const WHEEL_TURN_MS = 100;
/** After the in-band errors of a drain's end, clients have this long to take them. */
const PARTING_MS = 500;

/** What a snapshot brings; swapped whole. */
interface Force {
  snapshot: Snapshot;
  line: Line;
  egress: Egress;
  send: Plane['send'];
  priceOf: Plane['priceOf'];
  /** Where tokens of an issuer stand for keys. */
  tokens: CallerOfToken | undefined;
}

interface Edges {
  port: Edge;
  /** The worker's own socket, where main asks for the chats behind agents. */
  behind: Edge;
}

/** The data plane of one worker. */
export function buildDataPlane(context: WorkerContext): DataPlane {
  const { shared, controlSocketPath } = context;
  const ids = createIdSource(randomBytes);
  const wheel = createWheel({ turnMs: WHEEL_TURN_MS, now: () => performance.now() });
  const directory = createDirectoryIndex();
  const agents = createAgentSide({
    book: createAgentBook(),
    ask: context.askAgents,
    translator: createTranslator(),
    controlSocketPath,
  });
  const live = new Set<Exchange>();
  let force: Force | undefined;
  let ready = false;
  let edges: Edges | undefined;
  const inForce = (): Force => force!;
  const sources = { targets: shared.targets, limits: shared.limits, random: Math.random };

  const tokensParts = { send: () => inForce().send, admit: context.admitPerson, directory, nowMs: context.now };

  const plane = createPlane(context, inForce, { ids, wheel, live, agents });
  const readiness = { ready: () => ready, snapshotHash: () => force?.snapshot.hash, version: context.version };

  return {
    apply(snapshot) {
      const egress = sameRules(force?.snapshot, snapshot) ? inForce().egress : newEgress(context, snapshot, wheel);
      if (force !== undefined && force.egress !== egress) force.egress.close();
      directory.useFile({ keys: snapshot.keys, tags: snapshot.rules.tags });
      const tokens = tokensOf(snapshot, force, tokensParts);
      const priceOf = createPrices(snapshot, context.askPrice, context.now);
      context.journal.setSync(snapshot.ledger.sync);
      force = {
        snapshot,
        line: createLine(snapshot, { directory, callerOfToken: tokens, routing: { ...sources, priceOf } }),
        tokens,
        egress,
        send: createSend(egress),
        priceOf,
      };
    },
    know({ table, changes }) {
      if (table !== undefined) directory.load(table);
      for (const change of changes) directory.change(change);
    },
    knowAgents(news) {
      agents.book.apply(news);
      cutCalls(live, news);
    },
    async listen(address) {
      edges = createEdges(context, plane, { readiness, ids });
      const ownSocket = workerSocketPath(controlSocketPath, context.worker);
      // Of an earlier run, or of the worker before.
      rmSync(ownSocket, { force: true });
      await edges.behind.listenOn(ownSocket);
      await edges.port.listen(address);
    },
    setReady: (value) => void (ready = value),
    drain: (deadlineMs) => drain(edges, live, deadlineMs),
  };
}

interface EdgeParts {
  readiness: Readiness;
  ids: ReturnType<typeof createIdSource>;
}

function createEdges({ shared, log, controlSocketPath }: WorkerContext, plane: Plane, { readiness, ids }: EdgeParts): Edges {
  const common = {
    errors: errorBody,
    newRequestId: ids.requestId,
    reserveBytes: (bytes: number) => shared.reserveBytes(bytes),
    releaseBytes: (bytes: number) => shared.releaseBytes(bytes),
    onRefused: (refusal: Refusal) => plane.record(refusedFact(plane, refusal)),
    onFailure: failureLog(log),
  };
  const settings = (): Snapshot['server'] => plane.line().snapshot.server;
  const behindSettings = createBehindSettings();
  return {
    port: createEdge({ ...common, settings, routes: routeTable(plane, { readiness, controlSocketPath }) }),
    behind: createEdge({ ...common, settings: () => behindSettings(settings()), routes: [behindRoute(plane)] }),
  };
}

interface PlaneParts {
  agents: Plane['agents'];
  ids: ReturnType<typeof createIdSource>;
  wheel: Plane['wheel'];
  /** Every exchange under way stands in it. */
  live: Set<Exchange>;
}

/** What exchanges see of the worker; all that a snapshot brings is looked up at each use. */
function createPlane(context: WorkerContext, inForce: () => Force, { ids, wheel, live, agents }: PlaneParts): Plane {
  const { shared, journal } = context;
  return {
    worker: context.worker,
    agents,
    line: () => inForce().line,
    wheel,
    send: (request) => inForce().send(request),
    priceOf: (target) => inForce().priceOf(target),
    limiter: shared.limiter,
    targets: shared.targets,
    retries: shared.retries,
    pins: shared.pins,
    warmPrompts: createWarmPrompts(),
    accounts: shared.accounts,
    windowOf: createWindows(),
    estimator: createEstimator(),
    historyOf: createTokenHistory(),
    endUsers: createEndUsers({ marks: shared.endUsers, ask: context.placeEndUser, nowMs: () => performance.now() }),
    storeIsBehind: () => shared.storeIsBehind(),
    sealBody: (whose, text) => sealUnder(context.bodyKey, { belonging: bodyBelonging(whose), text, random: randomBytes }),
    record: (fact) => journal.append(fact),
    commit: () => {
      const done = journal.commit();
      return done instanceof Promise ? done.then(orRefuse) : orRefuse(done);
    },
    raise: createRaise({ record: (event) => journal.append(event), nowMs: context.now, eventId: ids.eventId }),
    began: (exchange) => {
      live.add(exchange);
      shared.exchangeStarted();
    },
    ended: (exchange) => {
      live.delete(exchange);
      shared.exchangeEnded();
    },
    sample: () => Math.random() < (inForce().snapshot.telemetry.otlp?.sampleRatio ?? 0),
    tracing: () => inForce().snapshot.telemetry.otlp !== undefined,
    nowMs: context.now,
    exchangeId: ids.exchangeId,
    random: Math.random,
    traceId: ids.traceId,
    spanId: ids.spanId,
  };
}

/** What is remembered of tokens and of their issuer's keys survives a reload that does not concern them. */
function tokensOf({ jwt }: Snapshot, before: Force | undefined, parts: Omit<TokensParts, 'settings'>): CallerOfToken | undefined {
  if (jwt === undefined) return undefined;
  const isSame = JSON.stringify(before?.snapshot.jwt) === JSON.stringify(jwt);
  return isSame ? before?.tokens : createTokens({ ...parts, settings: jwt });
}

function failureLog(log: WorkerContext['log']) {
  return ({ requestId, error }: { requestId: string; error: unknown }): void =>
    log('error', { request_id: requestId, error: stackOf(error) }, 'a request failed inside Signalbox');
}

function newEgress(context: WorkerContext, snapshot: Snapshot, wheel: Plane['wheel']): Egress {
  return createEgress(snapshot.egress, { wheel, userAgent: `signalbox/${context.version}` });
}

function orRefuse(isRecorded: boolean): void {
  if (isRecorded) return;
  const message = 'What a request may cost cannot be recorded now';
  throw new GatewayError('store_down', { details: { message, retryAfterS: 1 } });
}

/** Connections survive a reload that does not concern them. */
function sameRules(before: Snapshot | undefined, after: Snapshot): boolean {
  return before !== undefined && JSON.stringify(before.egress) === JSON.stringify(after.egress);
}

/** An agent that was disabled by force. */
function cutCalls(live: ReadonlySet<Exchange>, { cut: agents = [] }: AgentNews): void {
  const isCut = ({ agentWork, behind }: Exchange): boolean => agents.includes((agentWork ?? behind)?.view.name ?? '');
  for (const exchange of live) if (isCut(exchange)) cut(exchange, new GatewayError('agent_disabled'));
}

/** Waits for what is under way; at the deadline open streams get their in-band error, and everything is closed. */
async function drain(edges: Edges | undefined, live: ReadonlySet<Exchange>, deadlineMs: number): Promise<void> {
  if (edges === undefined) return;
  const { port, behind } = edges;
  // What is still being asked of agents that are models asks for chats itself.
  const drained = port.drain().then(() => behind.drain());
  const late = Symbol('late');
  const timer = AbortSignal.timeout(Math.max(1, Math.min(deadlineMs, 2 ** 31 - 1)));
  const deadline = new Promise<typeof late>((resolve) => timer.addEventListener('abort', () => resolve(late), { once: true }));
  if ((await Promise.race([drained, deadline])) === late) {
    for (const exchange of live) cut(exchange, new GatewayError('draining'));
    await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, PARTING_MS))]);
  }
  await Promise.all([port.close(), behind.close()]);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
