import type { PercentileName } from "../schema/objectives.ts";
import type { WholeRun } from "./checks/check.ts";
import { quantiles } from "./histogram.ts";

/**
 * The noise floor of a metric: how far its value in this run may lie from that of endless measuring under the same
 * conditions, by chance alone (95 %).
 *
 * The measure phase is cut into windows of equal length; next to each other, undisturbed by faults, they are A and A of
 * a test of the same against the same. From their differences comes the variance of one window (von Neumann's mean
 * square successive difference, The Annals of Mathematical Statistics 12, 1941, which a slow drift hardly touches), and
 * by batch means (Law, Simulation Modeling and Analysis, ch. 9) the standard error of the whole.
 */
export const noiseRules = {
  /** As many windows as possible, within these. */
  leastWindows: 6,
  mostWindows: 30,
  /** A window must hold this many operations beyond the percentile that is taken of it. */
  minBeyond: 2,
  /** After a fault, and once writes are served again, this long still counts as disturbed. */
  settleMs: 1_000,
} as const;

/** A stretch of time, ms since 1970. */
interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Noise floors by metric, in the metric's unit; a metric with too little data is absent. */
export function noiseFloors(run: Omit<WholeRun, "noise">): Record<string, number> {
  const { spec, startAtMs, totals } = run;
  const fromMs = startAtMs + spec.phases.warmupMs;
  const measure = { fromMs, toMs: fromMs + spec.phases.measureMs };
  const quiet = quietStretches(measure, disturbances(run, measure.toMs));
  const floors: Record<string, number> = {};
  for (const name of totals.keys()) {
    const operations = measuredOperations(run, name);
    for (const percentile of ["p50", "p90", "p95", "p99", "p999"] as const) {
      const floor = percentileFloor(operations, percentile, measure, quiet);
      if (floor !== null) {
        floors[`${name}.latency.${percentile}`] = floor;
      }
    }
  }
  return floors;
}

/** One operation: when it was due (ms since 1970) and how long it took. */
interface Timed {
  readonly dueMs: number;
  readonly latencyMs: number;
}

function measuredOperations({ workers }: Pick<WholeRun, "workers">, name: string): Timed[] {
  return workers.flatMap(({ events }) => {
    const operation = events.operations.indexOf(name);
    const found: Timed[] = [];
    for (let row = 0; row < events.rows; row += 1) {
      if (events.operation[row] === operation && events.measured[row] === 1) {
        const dueUs = events.intendedUs[row] ?? 0;
        found.push({ dueMs: dueUs / 1000, latencyMs: ((events.completedUs[row] ?? 0) - dueUs) / 1000 });
      }
    }
    return found;
  });
}

/** From each act until writes were served again and settled. */
function disturbances({ conductor, failovers }: Pick<WholeRun, "conductor" | "failovers">, endMs: number): Stretch[] {
  return conductor.faults.flatMap(({ actedAtMs }, position) => {
    if (actedAtMs === null) {
      return [];
    }
    const failover = failovers[position];
    const lastedMs = failover?.state === "not-recovered" ? endMs - actedAtMs : (failover?.failoverMs ?? 0);
    return [{ fromMs: actedAtMs, toMs: actedAtMs + lastedMs + noiseRules.settleMs }];
  });
}

/** What is left of a phase without the disturbances, in order. */
function quietStretches(phase: Stretch, disturbed: readonly Stretch[]): Stretch[] {
  const quiet: Stretch[] = [];
  let fromMs = phase.fromMs;
  for (const one of [...disturbed].sort((a, b) => a.fromMs - b.fromMs)) {
    if (one.fromMs > fromMs) {
      quiet.push({ fromMs, toMs: Math.min(one.fromMs, phase.toMs) });
    }
    fromMs = Math.max(fromMs, one.toMs);
  }
  return fromMs < phase.toMs ? [...quiet, { fromMs, toMs: phase.toMs }] : quiet;
}

function percentileFloor(
  operations: readonly Timed[],
  percentile: PercentileName,
  phase: Stretch,
  quiet: readonly Stretch[],
): number | null {
  const perWindow = noiseRules.minBeyond / (1 - quantiles[percentile]);
  const count = Math.min(noiseRules.mostWindows, Math.floor(operations.length / perWindow));
  if (count < noiseRules.leastWindows) {
    return null;
  }
  const widthMs = (phase.toMs - phase.fromMs) / count;
  const windows = Array.from({ length: count }, (): number[] => []);
  for (const { dueMs, latencyMs } of operations) {
    windows[Math.min(count - 1, Math.max(0, Math.floor((dueMs - phase.fromMs) / widthMs)))]?.push(latencyMs);
  }
  const values = windows.map((window, index) => {
    const fromMs = phase.fromMs + index * widthMs;
    const whole = quiet.some((stretch) => stretch.fromMs <= fromMs && stretch.toMs >= fromMs + widthMs - 1e-6);
    return whole && window.length > 0 ? nearestRank(window, quantiles[percentile]) : null;
  });
  return floorOf(values);
}

function nearestRank(values: number[], share: number): number {
  values.sort((a, b) => a - b);
  return values[Math.max(0, Math.ceil(values.length * share) - 1)] ?? 0;
}

/**
 * Half the width of the 95 % interval of the mean of all windows; null where fewer than {@link noiseRules} asks for are
 * undisturbed.
 *
 * @param windows One value a window, in order of time; null where it was disturbed.
 */
export function floorOf(windows: readonly (number | null)[]): number | null {
  const known = windows.filter((value) => value !== null);
  const squares = windows.flatMap((value, index) => {
    const next = windows[index + 1] ?? null;
    return value === null || next === null ? [] : (next - value) ** 2;
  });
  if (known.length < noiseRules.leastWindows || squares.length < noiseRules.leastWindows - 1) {
    return null;
  }
  const variance = squares.reduce((sum, square) => sum + square, 0) / (2 * squares.length);
  // Differences of neighbours share windows: k of them know as much of a variance as some 2k/3 windows of their own.
  return studentQuantile975((2 * squares.length) / 3) * Math.sqrt(variance / known.length);
}

/** The 97.5 % quantile of Student's t: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5. */
function studentQuantile975(freedom: number): number {
  const z = 1.959964;
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + first / freedom + second / freedom ** 2 + third / freedom ** 3;
}
