import type { Attributes, Meter, ObservableResult } from "@opentelemetry/api";
import type { Histogram } from "hdr-histogram-js";
import { usersOf } from "../arrival.ts";
import { emptyHistogram, recordUs } from "../histogram.ts";
import type { Completed, LoadObserver } from "../load.ts";
import type { TelemetryTask } from "./task.ts";

const percentiles = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999];

class Operation {
  success = 0;
  fail = 0;
  readonly codes = new Map<string, number>();
  readonly latency = emptyHistogram();
  readonly serviceTime = emptyHistogram();
}

/**
 * What Keramik's simulations export, under its names and labels, so that its dashboards and notebook can be kept. The
 * measure phase only; workloads/README.md says what stands for what.
 */
export class GooseView implements LoadObserver {
  readonly #task: TelemetryTask;
  readonly #labels: Attributes;
  readonly #operations: ReadonlyMap<string, Operation>;
  readonly #all = emptyHistogram();
  readonly #peers: Map<number, number>;
  #lastUs: number;
  #inFlight = 0;
  #mostInFlight = 0;

  constructor(meter: Meter, task: TelemetryTask) {
    const { spec, worker, measureUs } = task;
    this.#task = task;
    this.#lastUs = measureUs;
    this.#labels = {
      simulation: spec.experiment,
      scenario: spec.system,
      nonce: String(spec.seed),
      ...(spec.workers === 1 ? { mode: "manager" } : { mode: "worker", worker_id: String(worker) }),
    };
    this.#operations = new Map(Object.keys(spec.operations).map((name) => [name, new Operation()]));
    this.#peers = new Map(spec.endpoints.map(({ ordinal }) => [ordinal, 0]));
    this.#exportRun(meter);
    this.#exportTransactions(meter);
    this.#exportRequests(meter);
    this.#exportPeers(meter);
  }

  offered(_: string, intendedUs: number): void {
    this.#lastUs = Math.max(this.#lastUs, intendedUs);
  }

  sent(): void {
    this.#inFlight += 1;
    this.#mostInFlight = Math.max(this.#mostInFlight, this.#inFlight);
  }

  dropped(): void {}

  completed({ operation, intendedUs, sentUs, completedUs, outcome }: Completed): void {
    this.#inFlight -= 1;
    const record = this.#operations.get(operation);
    if (record === undefined || intendedUs < this.#task.measureUs) {
      return;
    }
    const code = outcome.ok ? "ok" : (outcome.code ?? "error");
    this.#lastUs = Math.max(this.#lastUs, completedUs);
    record[outcome.ok ? "success" : "fail"] += 1;
    record.codes.set(code, (record.codes.get(code) ?? 0) + 1);
    recordUs(record.latency, completedUs - intendedUs);
    recordUs(record.serviceTime, completedUs - sentUs);
    recordUs(this.#all, completedUs - intendedUs);
    if (outcome.ok) {
      this.#peers.set(outcome.endpoint, (this.#peers.get(outcome.endpoint) ?? 0) + 1);
    }
  }

  #exportRun(meter: Meter): void {
    const name = this.#task.spec.system;
    this.#gauge(meter, "goose_duration", (tell) => tell(this.#seconds()));
    this.#gauge(meter, "goose_maximum_users", (tell) => tell(this.#users()));
    this.#gauge(meter, "goose_total_users", (tell) => tell(this.#users()));
    this.#gauge(meter, "goose_scenarios_total", (tell) => tell(this.#all.totalCount, { name }));
    this.#gauge(meter, "goose_scenarios_duration_percentiles", (tell) => tellPercentiles(this.#all, { name }, tell));
  }

  #exportTransactions(meter: Meter): void {
    const labelsOf = (operation: string) => ({ scenario_name: this.#task.spec.system, tx_name: operation });
    this.#gauge(meter, "goose_txs_total", (tell) => {
      for (const [operation, { success, fail }] of this.#operations) {
        tell(success, { ...labelsOf(operation), result: "success" });
        tell(fail, { ...labelsOf(operation), result: "fail" });
      }
    });
    this.#gauge(meter, "goose_txs_duration_percentiles", (tell) => {
      for (const [operation, { latency }] of this.#operations) {
        tellPercentiles(latency, labelsOf(operation), tell);
      }
    });
  }

  #exportRequests(meter: Meter): void {
    const labelsOf = (operation: string) => this.#task.requests[operation] ?? { method: "CALL", path: operation };
    this.#gauge(meter, "goose_requests_total", (tell) => {
      for (const [operation, { success, fail }] of this.#operations) {
        tell(success, { ...labelsOf(operation), result: "success" });
        tell(fail, { ...labelsOf(operation), result: "fail" });
      }
    });
    this.#gauge(meter, "goose_requests_status_codes_total", (tell) => {
      for (const [operation, { codes }] of this.#operations) {
        for (const [code, count] of codes) {
          tell(count, { ...labelsOf(operation), code });
        }
      }
    });
    this.#gauge(meter, "goose_requests_duration_percentiles", (tell) => {
      for (const [operation, { serviceTime }] of this.#operations) {
        tellPercentiles(serviceTime, labelsOf(operation), tell);
      }
    });
  }

  #exportPeers(meter: Meter): void {
    const rate = (ordinal: number): number => {
      const seconds = this.#seconds();
      return seconds === 0 ? 0 : (this.#peers.get(ordinal) ?? 0) / seconds;
    };
    const { endpoints } = this.#task.spec;
    this.#gauge(meter, "simulation_peer_requests_per_second", (tell) => {
      for (const { ordinal, pod } of endpoints) {
        tell(rate(ordinal), { peer: pod });
      }
    });
    this.#gauge(meter, "simulation_min_peer_requests_per_second", (tell) =>
      tell(Math.min(...endpoints.map(({ ordinal }) => rate(ordinal)))),
    );
  }

  /** Without a unit: a collector would put it into the name. */
  #gauge(meter: Meter, name: string, observe: (tell: Tell) => void): void {
    meter.createObservableGauge(name).addCallback((result: ObservableResult) => {
      observe((value, labels) => result.observe(value, { ...this.#labels, ...labels }));
    });
  }

  #seconds(): number {
    return (this.#lastUs - this.#task.measureUs) / 1e6;
  }

  #users(): number {
    const { arrival, workers } = this.#task.spec;
    return arrival.kind === "closed" ? usersOf(arrival.users, this.#task.worker, workers) : this.#mostInFlight;
  }
}

type Tell = (value: number, labels?: Attributes) => void;

/** In ms. */
function tellPercentiles(histogram: Histogram, labels: Attributes, tell: Tell): void {
  if (histogram.totalCount > 0) {
    for (const percentile of percentiles) {
      const value = histogram.getValueAtPercentile(percentile * 100) / 1000;
      tell(value, { ...labels, percentile: String(percentile) });
    }
  }
}
