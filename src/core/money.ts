/**
 * Money is integer nano-USD (1 USD = 1e9), never a float. One exchange fits a safe integer by far
 * (2^53 nano-USD is nine million dollars); sums over many are kept as bigint by whoever sums.
 */
export type NanoUsd = number;

const NANO_PER_USD = 1_000_000_000;

/** Nano-USD as a plain decimal without exponent or trailing zeros: 1500 → `0.0000015`. */
export function formatUsd(nano: NanoUsd): string {
  const sign = nano < 0 ? '-' : '';
  const absolute = Math.abs(nano);
  const whole = Math.floor(absolute / NANO_PER_USD);
  const fraction = String(absolute % NANO_PER_USD)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return fraction === '' ? `${sign}${whole}` : `${sign}${whole}.${fraction}`;
}
