/** What an attempt may cost: by which price, and at most how much. */
import type { PricedTarget, Provider } from '../config/snapshot.ts';
import type { DialectId } from '../core/dialect-id.ts';
import type { NanoUsd } from '../core/money.ts';
import type { ModelBounds, Price, PriceState } from '../core/price.ts';
import { NO_USAGE } from '../core/usage.ts';
import { modelTraits } from '../dialects/anthropic-messages/models.ts';
import { readNumber, scanObject } from '../lib/json-scan.ts';
import { costNanoUsd } from '../ledger/cost.ts';
import { type RequestShape, isSet } from '../ledger/request-shape.ts';
import { type Bound, type Unbounded, boundOf } from '../ledger/reserve.ts';
import type { BudgetPlan } from '../policy/budget.ts';
import type { ClientBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import type { Surface } from './surface.ts';

export interface Wanted {
  shape: RequestShape;
  /** Undefined: free, or nobody knows. */
  price: Price | undefined;
  /** What it costs at least once it was sent, estimated. */
  inputNanoUsd: NanoUsd;
  /** Under a hard budget, where there is a price. */
  bound: Bound | undefined;
  hidden: boolean;
  choices: number;
  /** Whether a cap can be sent at all. */
  cappable: boolean;
  /** A cap below this would be refused by the provider. */
  leastCapTokens: number | undefined;
  kind: string;
  requestBytes: number;
}

interface Asked {
  target: PricedTarget;
  priceState: PriceState;
  plan: BudgetPlan | undefined;
}

/** What must be set aside; a reason where a hard budget asks for a bound and there is none. */
export function wantedBy(exchange: Exchange, body: ClientBody, { target, priceState, plan }: Asked): Wanted | Unbounded {
  const { surface, line, stream, plane } = exchange;
  const provider = line.provider(target);
  const shape = shapeOf(body, target, provider);
  const price = chargedPrice(priceState, plan);
  if (typeof price === 'string') return { because: price };
  const bounds = boundsOf(priceState.bounds, target.bounds);
  const kind = `${target.id} ${surface.name} ${stream ? 'stream' : 'whole'}`;
  const requestBytes = body.bytes.length;
  const wanted: Wanted = {
    shape,
    price,
    inputNanoUsd: price === undefined ? 0 : leastCost(price, plane.estimator.inputTokens(kind, requestBytes)),
    hidden: hidesOutput(shape, { price, bounds, dialect: provider.dialect, upstreamModel: target.upstreamModel }),
    choices: 1,
    cappable: !shape.dropped.includes(capName(surface, provider)),
    kind,
    requestBytes,
    bound: undefined,
    leastCapTokens: undefined,
  };
  if (plan?.hard !== true || price === undefined) return wanted;
  return withBound(wanted, { price, bounds, surface, provider });
}

const NO_BOUNDS: ModelBounds = Object.freeze({});

function boundsOf(asked: ModelBounds | undefined, configured: ModelBounds | undefined): ModelBounds {
  return asked !== undefined && configured !== undefined ? { ...asked, ...configured } : (asked ?? configured ?? NO_BOUNDS);
}

/** Never 0: an attempt that was sent has a price. */
function leastCost(price: Price, inputTokens: number): NanoUsd {
  return Math.max(1, costNanoUsd({ ...NO_USAGE, inputTokens }, price));
}

interface Place {
  price: Price;
  bounds: ModelBounds;
  surface: Surface;
  provider: Provider;
}

function withBound(wanted: Wanted, { price, bounds, surface, provider }: Place): Wanted | Unbounded {
  const generates = surface.name !== 'embeddings';
  const bound = boundOf({ shape: wanted.shape, dialect: provider.dialect, price, bounds, generates });
  if ('because' in bound) return bound;
  if (bound.capTokens === undefined && !wanted.cappable && bound.perTokenPicoUsd > 0) {
    return { because: 'nothing bounds its answer, and `drop_params` takes a cap out' };
  }
  wanted.bound = bound;
  wanted.choices = bound.choices;
  wanted.leastCapTokens = leastAboveThinking(wanted.shape);
  return wanted;
}

const NOTHING = Object.freeze({});
const NO_NAMES: readonly string[] = Object.freeze([]);

function shapeOf({ bytes, scan }: ClientBody, target: PricedTarget, provider: Provider): RequestShape {
  return {
    bytes,
    members: scan.members,
    defaults: target.defaultParams ?? NOTHING,
    dropped: target.dropParams ?? NO_NAMES,
    rename: provider.quirks.rename ?? NOTHING,
  };
}

/** The price in force, the ceiling where there is none and a hard budget wants it; undefined: charge nothing. A clause: refuse. */
function chargedPrice(state: PriceState, plan: BudgetPlan | undefined): Price | string | undefined {
  const hard = plan?.hard === true;
  if (state.status === 'free') return undefined;
  if (state.status === 'priced') return hard && plan.unpriced !== 'allow' ? (hiddenUnits(state) ?? state.price) : state.price;
  if (!hard || plan.unpriced === 'allow') return undefined;
  if (plan.unpriced === 'block') return 'its model has no price';
  return state.ceiling ?? 'its model has no price, and no list knows the prices of its provider';
}

/** Searches of files come with a tool, which is refused by itself; other units are billed whatever is asked. */
function hiddenUnits({ unsupported = [] }: Extract<PriceState, { status: 'priced' }>): string | undefined {
  const units = unsupported.filter((unit) => !unit.endsWith('_searches_kcount'));
  return units.length === 0 ? undefined : `its model is billed by units that usage does not tell: ${units.join(', ')}`;
}

const REASONING = ['reasoning_effort', 'reasoning', 'thinking', 'output_config'] as const;

interface Reasoner {
  price: Price | undefined;
  bounds: ModelBounds;
  dialect: DialectId;
  upstreamModel: string;
}

/** Reasoning that is billed and not shown. Most of Claude reasons only where it is asked to; other models that can may at any time. */
export function hidesOutput(shape: RequestShape, { price, bounds, dialect, upstreamModel }: Reasoner): boolean {
  for (const name of REASONING) if (isSet(shape, name)) return true;
  if (dialect === 'anthropic-messages' && /claude/i.test(upstreamModel)) return modelTraits(upstreamModel).alwaysThinks;
  return bounds.reasons === true || price?.reasoning !== undefined;
}

/** The name under which the target takes a cap. */
export function capName(surface: Surface, { dialect, quirks }: Provider): string {
  if (dialect === 'anthropic-messages') return 'max_tokens';
  const name = surface.name === 'responses' ? 'max_output_tokens' : 'max_completion_tokens';
  return quirks.rename?.[name] ?? name;
}

const ROOM_TOKENS = 256;

/** Anthropic refuses a cap that its thinking budget does not fit under. */
function leastAboveThinking({ bytes, members }: RequestShape): number | undefined {
  const span = members.get('thinking');
  if (span === undefined) return undefined;
  const scan = scanObject(bytes.subarray(span.valueStart, span.valueEnd));
  const budget = scan.ok
    ? readNumber(bytes.subarray(span.valueStart, span.valueEnd), scan.members.get('budget_tokens'))
    : undefined;
  return budget === undefined ? undefined : Math.ceil(budget) + ROOM_TOKENS;
}
