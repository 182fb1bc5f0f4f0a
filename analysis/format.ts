import type { MetricKind } from "../schema/objectives.ts";
import type { Summary } from "../schema/summary.ts";

const rounded = (value: number, digits: number): string =>
  value.toLocaleString("en-GB", { maximumFractionDigits: digits, useGrouping: true });

/** Milliseconds with three significant digits and the unit that reads best: `4 µs`, `0.42 ms`, `1.04 s`, `2.5 min`. */
export function formatMs(ms: number): string {
  if (ms !== 0 && Math.abs(ms) < 0.01) {
    return `${rounded(ms * 1000, 2)} µs`;
  }
  const [value, unit] =
    Math.abs(ms) < 1_000 ? [ms, "ms"] : Math.abs(ms) < 120_000 ? [ms / 1_000, "s"] : [ms / 60_000, "min"];
  const magnitude = Math.abs(value);
  return `${rounded(value, magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2)} ${unit}`;
}

/** A whole number with commas between thousands. */
export const formatCount = (value: number): string => rounded(value, 0);

/** Events per second with three significant digits. */
export const formatRate = (value: number): string => `${rounded(value, value >= 100 ? 0 : value >= 10 ? 1 : 2)}/s`;

/** A share in percent with at most so many decimals; never rounded up to 100 % or down to 0 %. */
export function formatRatio(value: number, digits = 3): string {
  const least = 10 ** -digits;
  const percent = Number((value * 100).toFixed(digits));
  if (value < 1 && percent >= 100) {
    return `above ${rounded(100 - least, digits)} %`;
  }
  if (value > 0 && percent <= 0) {
    return `under ${rounded(least, digits)} %`;
  }
  return `${rounded(percent, digits)} %`;
}

/** A metric's value in words, by its kind. */
export function formatMetric(kind: MetricKind, value: number): string {
  switch (kind) {
    case "duration":
      return formatMs(value);
    case "ratio":
      return formatRatio(value);
    case "rate":
      return formatRate(value);
    case "count":
      return formatCount(value);
  }
}

/** What an objective asks for: `at most 50 ms`. */
export function formatBounds(objective: {
  readonly kind: MetricKind;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}): string {
  const { kind, min, max } = objective;
  return [
    min === undefined ? [] : `at least ${formatMetric(kind, min)}`,
    max === undefined ? [] : `at most ${formatMetric(kind, max)}`,
  ]
    .flat()
    .join(" and ");
}

/** A time to replicate; without a number it is over the deadline. */
export const spreadText = (ms: number | null, deadlineMs: number): string =>
  ms === null ? `> ${formatMs(deadlineMs)}` : formatMs(ms);

/** `1 worker`, `2 workers`. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

/** Failover of a fault in words. */
export function failoverText(fault: Summary["faults"][number]): string {
  switch (fault.failover.state) {
    case "none":
      return "none";
    case "recovered":
      return fault.failover_ms === null ? "unknown" : formatMs(fault.failover_ms);
    case "not-recovered":
      return "not recovered";
    case "unknown":
      return "unknown";
  }
}
