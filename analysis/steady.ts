import type { WholeRun } from "./checks/check.ts";

/** How steadiness is looked for. */
export const steadyRules = {
  /** Bins that make a batch: the five of MSER-5. */
  binsPerBatch: 5,
  /** Operations a bin needs, so that its median says something. */
  minPerBin: 8,
  leastBatches: 10,
  mostBatches: 60,
  /** The beginning differs when its mean lies this many standard errors off the rest's ... */
  sigmas: 4,
  /** ... and by this share of it. */
  minShift: 0.25,
} as const;

/** When a run had settled. */
export interface Steadiness {
  /** Into the measure phase: from here on the rest of what was looked at is steady; 0 when all of it is. */
  readonly settledMs: number;
  /** How long was looked at, from the start of the measure phase: until the first fault, or to the end. */
  readonly lookedMs: number;
  /** Mean of the median latencies before and after `settledMs`. */
  readonly beforeMs: number;
  readonly afterMs: number;
}

/**
 * Finds a beginning of the measure phase that is unlike the rest: the warm-up was too short. By MSER-5: medians of
 * latency in bins of time are put together in batches of five, and the beginning is cut where the standard error of
 * what remains is least (White, An effective truncation heuristic for bias reduction in simulation output, SIMULATION
 * 69, 1997; in batches of five: White, Cobb and Spratt, A comparison of five steady-state truncation heuristics, WSC
 * 2000). As that always cuts somewhere, a cut counts only when what it cuts off differs clearly and by enough to matter.
 * Only the time before the first fault is looked at; a fault unsettles a network on purpose.
 *
 * @returns null when too few operations came in that time to say.
 */
export function steadiness(run: WholeRun): Steadiness | null {
  const { spec, startAtMs, conductor } = run;
  const fromMs = startAtMs + spec.phases.warmupMs;
  const acts = conductor.faults.flatMap(({ actedAtMs }) => actedAtMs ?? []);
  const lookedMs = Math.min(spec.phases.measureMs, ...acts.map((atMs) => atMs - fromMs));
  const operations = operationsWithin(run, fromMs, lookedMs);
  const perBatch = steadyRules.binsPerBatch * steadyRules.minPerBin;
  const count = Math.min(steadyRules.mostBatches, Math.floor(operations.length / perBatch));
  if (count < steadyRules.leastBatches) {
    return null;
  }
  const batches = batchMeans(operations, lookedMs, count);
  const cut = mserCut(batches);
  const before = batches.slice(0, cut);
  const after = batches.slice(cut);
  const [beforeMs, afterMs] = [mean(before), mean(after)];
  const error = Math.sqrt(variance(after) * (1 / Math.max(1, before.length) + 1 / after.length));
  const shift = Math.abs(beforeMs - afterMs);
  const differs = cut > 0 && shift > steadyRules.sigmas * error && shift > steadyRules.minShift * afterMs;
  return {
    settledMs: differs ? (cut / count) * lookedMs : 0,
    lookedMs,
    beforeMs: cut === 0 ? afterMs : beforeMs,
    afterMs,
  };
}

/**
 * Where MSER cuts a series: the number of leading values without which the mean of the rest has the least standard
 * error, at most half of them.
 */
export function mserCut(values: readonly number[]): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let cut = 0; cut <= values.length / 2; cut += 1) {
    const rest = values.slice(cut);
    const centre = mean(rest);
    const squared = rest.reduce((sum, value) => sum + (value - centre) ** 2, 0) / rest.length ** 2;
    if (squared < least) {
      least = squared;
      best = cut;
    }
  }
  return best;
}

/** Time due (ms after `fromMs`) and latency of every operation due in the stretch. */
function operationsWithin({ workers }: WholeRun, fromMs: number, forMs: number): [number, number][] {
  return workers.flatMap(({ events }) => {
    const found: [number, number][] = [];
    for (let row = 0; row < events.rows; row += 1) {
      const dueUs = events.intendedUs[row] ?? 0;
      const dueMs = dueUs / 1000 - fromMs;
      if (dueMs >= 0 && dueMs < forMs) {
        found.push([dueMs, ((events.completedUs[row] ?? 0) - dueUs) / 1000]);
      }
    }
    return found;
  });
}

/** Mean of the medians of each batch's bins; an empty bin is left out, an empty batch takes the one before it. */
function batchMeans(operations: readonly [number, number][], lookedMs: number, count: number): number[] {
  const bins = Array.from({ length: count * steadyRules.binsPerBatch }, (): number[] => []);
  for (const [dueMs, latencyMs] of operations) {
    bins[Math.min(bins.length - 1, Math.floor((dueMs / lookedMs) * bins.length))]?.push(latencyMs);
  }
  const batches: number[] = [];
  for (let batch = 0; batch < count; batch += 1) {
    const own = bins.slice(batch * steadyRules.binsPerBatch, (batch + 1) * steadyRules.binsPerBatch);
    const medians = own.filter((bin) => bin.length > 0).map(median);
    batches.push(medians.length > 0 ? mean(medians) : (batches.at(-1) ?? 0));
  }
  return batches;
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[Math.ceil(values.length / 2) - 1] ?? 0;
}

function variance(values: readonly number[]): number {
  const centre = mean(values);
  return values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / Math.max(1, values.length - 1);
}
