import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Attributes, Histogram, Meter } from "@opentelemetry/api";
import {
  ATTR_DB_OPERATION_NAME,
  ATTR_DB_SYSTEM_NAME,
  ATTR_ERROR_TYPE,
  METRIC_DB_CLIENT_OPERATION_DURATION,
} from "@opentelemetry/semantic-conventions";
import type { PhaseName } from "../../../schema/run.ts";
import type { Completed, LoadObserver } from "../load.ts";
import type { TelemetryTask } from "./task.ts";

/** Upper bounds in s, each twice the one before, from 0.25 ms: the same as the kv node's, so the two can be laid over. */
export const durationBounds = Array.from({ length: 16 }, (_, power) => 0.000_25 * 2 ** power);

const eventLoopResolutionMs = 10;

interface Counts {
  readonly attributes: Attributes;
  offered: number;
  sent: number;
  dropped: number;
}

/** The driver's own metrics; names and meanings are in workloads/README.md. */
export class DriverMetrics implements LoadObserver {
  readonly #task: TelemetryTask;
  readonly #counts = new Map<string, Counts>();
  readonly #latency: Histogram;
  readonly #duration: Histogram;
  readonly #eventLoop = monitorEventLoopDelay({ resolution: eventLoopResolutionMs });
  #inFlight = 0;

  constructor(meter: Meter, task: TelemetryTask) {
    this.#task = task;
    const advice = { explicitBucketBoundaries: durationBounds };
    this.#latency = meter.createHistogram("orrery.operation.latency", {
      unit: "s",
      description: "From the intended time of an operation to its answer",
      advice,
    });
    this.#duration = meter.createHistogram(METRIC_DB_CLIENT_OPERATION_DURATION, {
      unit: "s",
      description: "From the sending of an operation to its answer",
      advice,
    });
    this.#observeCounts(meter);
    this.#observeEventLoop(meter);
  }

  offered(operation: string, intendedUs: number): void {
    this.#of(operation, intendedUs).offered += 1;
  }

  sent(operation: string, intendedUs: number): void {
    this.#of(operation, intendedUs).sent += 1;
    this.#inFlight += 1;
  }

  dropped(operation: string, intendedUs: number): void {
    this.#of(operation, intendedUs).dropped += 1;
  }

  completed({ operation, intendedUs, sentUs, completedUs, outcome }: Completed): void {
    this.#inFlight -= 1;
    const error = outcome.ok ? undefined : (outcome.code ?? "error");
    this.#latency.record((completedUs - intendedUs) / 1e6, {
      "orrery.operation": operation,
      "orrery.phase": this.#phaseOf(intendedUs),
      "orrery.outcome": error ?? "ok",
    });
    this.#duration.record((completedUs - sentUs) / 1e6, {
      [ATTR_DB_SYSTEM_NAME]: this.#task.spec.system,
      [ATTR_DB_OPERATION_NAME]: operation,
      ...(error === undefined ? {} : { [ATTR_ERROR_TYPE]: error }),
    });
  }

  close(): void {
    this.#eventLoop.disable();
  }

  #observeCounts(meter: Meter): void {
    const counter = (name: string, description: string, read: (counts: Counts) => number): void => {
      meter.createObservableCounter(name, { unit: "{operation}", description }).addCallback((result) => {
        for (const counts of this.#counts.values()) {
          result.observe(read(counts), counts.attributes);
        }
      });
    };
    counter("orrery.operation.offered", "Operations that were due", ({ offered }) => offered);
    counter("orrery.operation.sent", "Operations that were sent", ({ sent }) => sent);
    counter("orrery.operation.dropped", "Operations due but not sent: too many in flight", ({ dropped }) => dropped);
    meter
      .createObservableUpDownCounter("orrery.operation.in_flight", {
        unit: "{operation}",
        description: "Operations sent and not answered yet",
      })
      .addCallback((result) => result.observe(this.#inFlight));
  }

  #observeEventLoop(meter: Meter): void {
    const watch = this.#eventLoop;
    watch.enable();
    const gauge = (name: string, description: string, readNs: () => number) => {
      const own = (): number => Math.max(0, readNs() / 1e9 - eventLoopResolutionMs / 1000);
      const instrument = meter.createObservableGauge(`nodejs.eventloop.delay.${name}`, { unit: "s", description });
      return { instrument, own };
    };
    const gauges = [
      gauge("p50", "Median delay of the event loop since the last export", () => watch.percentile(50)),
      gauge("p99", "99th percentile of the event loop's delay since the last export", () => watch.percentile(99)),
      gauge("max", "Longest delay of the event loop since the last export", () => watch.max),
    ];
    meter.addBatchObservableCallback(
      (result) => {
        if (watch.count > 0) {
          for (const { instrument, own } of gauges) {
            result.observe(instrument, own());
          }
        }
        watch.reset();
      },
      gauges.map(({ instrument }) => instrument),
    );
  }

  #of(operation: string, intendedUs: number): Counts {
    const phase = this.#phaseOf(intendedUs);
    const key = `${phase} ${operation}`;
    let counts = this.#counts.get(key);
    if (counts === undefined) {
      const attributes = { "orrery.operation": operation, "orrery.phase": phase };
      counts = { attributes, offered: 0, sent: 0, dropped: 0 };
      this.#counts.set(key, counts);
    }
    return counts;
  }

  #phaseOf(intendedUs: number): PhaseName {
    return intendedUs < this.#task.measureUs ? "warmup" : "measure";
  }
}
