import type { FaultEvidence } from "../schema/run.ts";
import type { WorkerData } from "./read.ts";

/**
 * Failover, from the client's side: how long after a fault acted until writes were served as before.
 *
 * A write is *disturbed* when it failed or took longer than a threshold taken from the writes before the first fault.
 * Disturbed writes form *stretches*; a stretch ends when writes go undisturbed for `quietMs`. The fault's own is the
 * longest stretch that sets in within `onsetMs` of the act and before the next fault (a hiccup of the machine may come
 * just before or after it). Failover runs from the act to the first acknowledgement of an undisturbed write that began
 * after the last disturbed one of that stretch. Not to the end of the last disturbed write: one caught by the fault may
 * hang in its client for as long as its time-out while new ones are long being served, and one held back and answered
 * in the end is followed by others answered at the same moment.
 */
export const failoverRules = {
  /** Below this, slowness is not told from ordinary noise of a busy machine. */
  floorMs: 100,
  /** Slower than this many times the p99 before the fault ... */
  p99Factor: 10,
  /** ... or than this many times the slowest write before the fault, whichever is less, is disturbed. */
  slowestFactor: 2,
  /** A pod has up to 2 s to end even with no grace period (kubelet's minimum), and elections follow. */
  onsetMs: 5_000,
  /** Undisturbed for this long, what comes next is another matter. */
  quietMs: 1_000,
  /** Fewer writes than this before the fault say nothing about what is usual. */
  baselineWrites: 20,
} as const;

/** A write as failover sees it; ms on one clock. */
export interface Write {
  readonly intendedMs: number;
  readonly completedMs: number;
  readonly ok: boolean;
}

export interface Failover {
  /**
   * `none`: no write was disturbed. `recovered`: `failoverMs` says when. `not-recovered`: still disturbed when the
   * measure phase ended. `unknown`: the fault never acted, or too few writes came before it.
   */
  readonly state: "none" | "recovered" | "not-recovered" | "unknown";
  readonly failoverMs: number | null;
  /** Writes slower than this count as disturbed, so shorter outages are not seen. Null when unknown. */
  readonly thresholdMs: number | null;
  /** Writes of the stretch that failed, and that were answered late. */
  readonly failed: number;
  readonly delayed: number;
}

const unknown: Failover = { state: "unknown", failoverMs: null, thresholdMs: null, failed: 0, delayed: 0 };

/** A stretch of disturbed writes, and when the first undisturbed write after it was acknowledged. */
interface Stretch {
  readonly writes: readonly Write[];
  readonly wholeAtMs: number;
}

/**
 * Failover of one fault.
 *
 * @param writes Every write of the run, ordered by intended time.
 * @param actedAtMs When the fault acted.
 * @param nextActMs When the next fault acted; infinity when there is none. What sets in after it is not this fault's.
 * @param thresholdMs Latency above which a write counts as disturbed.
 */
export function failoverOf(
  writes: readonly Write[],
  actedAtMs: number,
  nextActMs: number,
  thresholdMs: number,
): Failover {
  const setInByMs = Math.min(actedAtMs + failoverRules.onsetMs, nextActMs);
  const after = writes.filter((write) => write.completedMs > actedAtMs);
  const own = stretchesOf(after, thresholdMs).filter((stretch) => (stretch.writes[0]?.intendedMs ?? 0) < setInByMs);
  const longest = own.reduce<Stretch | undefined>(
    (best, stretch) => (best === undefined || lengthOf(stretch) > lengthOf(best) ? stretch : best),
    undefined,
  );
  if (longest === undefined) {
    return { state: "none", failoverMs: null, thresholdMs, failed: 0, delayed: 0 };
  }
  const failed = longest.writes.filter((write) => !write.ok).length;
  const counts = { thresholdMs, failed, delayed: longest.writes.length - failed };
  return Number.isFinite(longest.wholeAtMs)
    ? { state: "recovered", failoverMs: toMicroseconds(Math.max(0, longest.wholeAtMs - actedAtMs)), ...counts }
    : { state: "not-recovered", failoverMs: null, ...counts };
}

/** Rounds what a difference of instants since 1970 leaves beyond µs. */
const toMicroseconds = (ms: number): number => Math.round(ms * 1000) / 1000;

function lengthOf(stretch: Stretch): number {
  return stretch.wholeAtMs - (stretch.writes[0]?.intendedMs ?? 0);
}

function stretchesOf(writes: readonly Write[], thresholdMs: number): Stretch[] {
  const stretches: Stretch[] = [];
  let current: Write[] = [];
  let wholeAtMs = Number.POSITIVE_INFINITY;
  for (const write of writes) {
    const last = current.at(-1);
    const disturbed = !write.ok || write.completedMs - write.intendedMs > thresholdMs;
    if (disturbed) {
      const quiet = last !== undefined && write.intendedMs - last.intendedMs > failoverRules.quietMs;
      if (quiet && Number.isFinite(wholeAtMs)) {
        stretches.push({ writes: current, wholeAtMs });
        current = [];
      }
      current.push(write);
      wholeAtMs = Number.POSITIVE_INFINITY;
    } else if (last !== undefined && write.intendedMs > last.intendedMs) {
      wholeAtMs = Math.min(wholeAtMs, write.completedMs);
    }
  }
  return current.length === 0 ? stretches : [...stretches, { writes: current, wholeAtMs }];
}

/**
 * Latency above which a write counts as disturbed, from the acknowledged writes between two instants; undefined when
 * they are too few.
 */
export function disturbanceThreshold(writes: readonly Write[], fromMs: number, toMs: number): number | undefined {
  const usual = writes
    .filter((write) => write.ok && write.intendedMs >= fromMs && write.completedMs <= toMs)
    .map((write) => write.completedMs - write.intendedMs)
    .sort((a, b) => a - b);
  const slowest = usual.at(-1);
  const p99 = usual[Math.ceil(usual.length * 0.99) - 1];
  if (usual.length < failoverRules.baselineWrites || slowest === undefined || p99 === undefined) {
    return undefined;
  }
  const { floorMs, p99Factor, slowestFactor } = failoverRules;
  return Math.max(floorMs, Math.min(p99Factor * p99, slowestFactor * slowest));
}

/** Operations whose service failover is measured by: the workload's writes, or all of them where it has none. */
export function judgedOperations(operations: readonly string[], writes: readonly string[]): string[] {
  const writing = operations.filter((name) => writes.includes(name));
  return writing.length > 0 ? writing : [...operations];
}

/** Every operation with one of these names, over workers and phases, in order of intended time. */
export function collectWrites(workers: readonly WorkerData[], operations: readonly string[]): Write[] {
  const writes: Write[] = [];
  for (const { events } of workers) {
    const wanted = events.operations.map((name) => operations.includes(name));
    const ok = events.outcomes.indexOf("ok");
    for (let row = 0; row < events.rows; row += 1) {
      if (wanted[events.operation[row] ?? -1] === true) {
        writes.push({
          intendedMs: (events.intendedUs[row] ?? 0) / 1000,
          completedMs: (events.completedUs[row] ?? 0) / 1000,
          ok: events.outcome[row] === ok,
        });
      }
    }
  }
  return writes.sort((a, b) => a.intendedMs - b.intendedMs);
}

/**
 * Failover of each fault, by its position in `faults`. What is usual is learnt between the start of the measure phase
 * and the first fault, or from the warm-up on when that is too short. `judged` are the operations looked at, as
 * {@link judgedOperations} gives them.
 */
export function failovers(
  workers: readonly WorkerData[],
  faults: readonly FaultEvidence[],
  measureFromMs: number,
  judged: readonly string[],
): Failover[] {
  const acts = faults.flatMap((fault) => fault.actedAtMs ?? []).sort((a, b) => a - b);
  const [firstAct] = acts;
  if (firstAct === undefined) {
    return faults.map(() => unknown);
  }
  const writes = collectWrites(workers, judged);
  const thresholdMs =
    disturbanceThreshold(writes, measureFromMs, firstAct) ??
    disturbanceThreshold(writes, Number.NEGATIVE_INFINITY, firstAct);
  return faults.map((fault) => {
    const { actedAtMs } = fault;
    if (actedAtMs === null || thresholdMs === undefined) {
      return unknown;
    }
    const next = acts.find((act) => act > actedAtMs) ?? Number.POSITIVE_INFINITY;
    return failoverOf(writes, actedAtMs, next, thresholdMs);
  });
}
