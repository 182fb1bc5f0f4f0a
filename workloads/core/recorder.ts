import type { Histogram } from "hdr-histogram-js";
import type { OperationResult } from "../../schema/results.ts";
import type { Progress } from "../../schema/run.ts";
import type { EventLog } from "./events.ts";
import { emptyHistogram, encodeHistogram, recordUs, summaryMs } from "./histogram.ts";
import type { Completed, LoadObserver } from "./load.ts";

const secondUs = 1_000_000;

interface Interval {
  offered: number;
  completed: number;
  failed: number;
  /** Absent until the interval is over. */
  latency?: string;
}

/** Everything counted of one operation. Memory grows by one short text a second, not with the operations. */
class OperationRecord {
  offered = 0;
  sent = 0;
  succeeded = 0;
  dropped = 0;
  readonly errors = new Map<string, number>();
  readonly latency = emptyHistogram();
  readonly successLatency = emptyHistogram();
  readonly serviceTime = emptyHistogram();
  readonly intervals: Interval[] = [];
  readonly current = emptyHistogram();

  interval(second: number): Interval {
    while (this.intervals.length <= second) {
      this.intervals.push({ offered: 0, completed: 0, failed: 0 });
    }
    return this.intervals[second] ?? { offered: 0, completed: 0, failed: 0 };
  }

  closeInterval(second: number): void {
    this.interval(second).latency = encodeHistogram(this.current);
    if (this.current.totalCount > 0) {
      this.current.reset();
    }
  }

  result(): OperationResult {
    const empty = encodeHistogram(emptyHistogram());
    return {
      offered: this.offered,
      sent: this.sent,
      succeeded: this.succeeded,
      errors: Object.fromEntries([...this.errors].sort(([a], [b]) => (a < b ? -1 : 1))),
      dropped: this.dropped,
      latency: encodeHistogram(this.latency),
      successLatency: encodeHistogram(this.successLatency),
      serviceTime: encodeHistogram(this.serviceTime),
      intervals: this.intervals.map(({ latency = empty, ...interval }, second) => ({
        atMs: second * 1000,
        ...interval,
        latency,
      })),
    };
  }
}

/**
 * Counts what a load does: totals and histograms of the measure phase (by intended time), one interval a second of the
 * whole run, and every operation in the event log.
 */
export class Recorder implements LoadObserver {
  readonly #records: ReadonlyMap<string, OperationRecord>;
  readonly #startUs: number;
  readonly #measureUs: number;
  readonly #events: EventLog;
  /** Actual minus intended send time in the measure phase. */
  readonly lateness = emptyHistogram();
  readonly #second = emptyHistogram();
  #currentSecond = 0;
  #lastSecond: { ratePerSecond: number; p99Ms: number | null } = { ratePerSecond: 0, p99Ms: null };
  #offered = 0;
  #completed = 0;
  #failed = 0;
  #inFlight = 0;
  #mostInFlight = 0;

  /**
   * @param startUs The shared start, µs since 1970.
   * @param measureUs When the measure phase begins.
   */
  constructor(operations: readonly string[], startUs: number, measureUs: number, events: EventLog) {
    this.#records = new Map(operations.map((name) => [name, new OperationRecord()]));
    this.#startUs = startUs;
    this.#measureUs = measureUs;
    this.#events = events;
  }

  get mostInFlight(): number {
    return this.#mostInFlight;
  }

  offered(operation: string, intendedUs: number): void {
    const record = this.#of(operation);
    this.#offered += 1;
    record.interval(this.#secondOf(intendedUs)).offered += 1;
    record.offered += this.#measured(intendedUs) ? 1 : 0;
  }

  dropped(operation: string, intendedUs: number): void {
    this.#of(operation).dropped += this.#measured(intendedUs) ? 1 : 0;
  }

  sent(operation: string, intendedUs: number): void {
    this.#inFlight += 1;
    this.#mostInFlight = Math.max(this.#mostInFlight, this.#inFlight);
    this.#of(operation).sent += this.#measured(intendedUs) ? 1 : 0;
  }

  completed(done: Completed): void {
    const record = this.#of(done.operation);
    const code = done.outcome.ok ? "ok" : (done.outcome.code ?? "error");
    const latencyUs = done.completedUs - done.intendedUs;
    this.#inFlight -= 1;
    this.#completed += 1;
    this.#failed += done.outcome.ok ? 0 : 1;
    this.roll(done.completedUs);
    const interval = record.interval(this.#currentSecond);
    interval.completed += 1;
    interval.failed += done.outcome.ok ? 0 : 1;
    recordUs(record.current, latencyUs);
    recordUs(this.#second, latencyUs);
    const measured = this.#measured(done.intendedUs);
    if (measured) {
      recordUs(record.latency, latencyUs);
      recordUs(record.serviceTime, done.completedUs - done.sentUs);
      recordUs(this.lateness, done.sentUs - done.intendedUs);
      if (done.outcome.ok) {
        record.succeeded += 1;
        recordUs(record.successLatency, latencyUs);
      } else {
        record.errors.set(code, (record.errors.get(code) ?? 0) + 1);
      }
    }
    this.#events.add(done, measured, code);
  }

  /** Closes the intervals that are over at this time. */
  roll(nowUs: number): void {
    const now = this.#secondOf(nowUs);
    while (this.#currentSecond < now) {
      for (const record of this.#records.values()) {
        record.closeInterval(this.#currentSecond);
      }
      this.#lastSecond = rateOf(this.#second);
      this.#second.reset();
      this.#currentSecond += 1;
    }
  }

  /** How far the load is, for those who watch; the phase is theirs to say. */
  progress(): Omit<Progress, "phase"> {
    return {
      offered: this.#offered,
      completed: this.#completed,
      failed: this.#failed,
      inFlight: this.#inFlight,
      ...this.#lastSecond,
    };
  }

  /** All results; nothing may be recorded afterwards. */
  finish(nowUs: number): Record<string, OperationResult> {
    this.roll(nowUs);
    for (const record of this.#records.values()) {
      record.closeInterval(this.#currentSecond);
    }
    return Object.fromEntries([...this.#records].map(([name, record]) => [name, record.result()]));
  }

  #of(operation: string): OperationRecord {
    const record = this.#records.get(operation);
    if (record === undefined) {
      throw new Error(`operation "${operation}" is not one of this run`);
    }
    return record;
  }

  #measured(intendedUs: number): boolean {
    return intendedUs >= this.#measureUs;
  }

  #secondOf(us: number): number {
    return Math.max(0, Math.floor((us - this.#startUs) / secondUs));
  }
}

function rateOf(second: Histogram): { ratePerSecond: number; p99Ms: number | null } {
  return {
    ratePerSecond: second.totalCount,
    p99Ms: second.totalCount === 0 ? null : summaryMs(second).p99,
  };
}
