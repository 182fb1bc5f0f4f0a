import { mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { build, encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js";
import { parquetWriteFile } from "hyparquet-writer";
import { stringify } from "yaml";
import {
  type ConductorResult,
  conductorResultVersion,
  type Environment,
  eventColumns,
  type OperationResult,
  type WorkerResult,
  workerResultVersion,
} from "../../schema/results.ts";
import { type FaultEvidence, type RunSpec, runSpecVersion } from "../../schema/run.ts";
import { replicationResultOf, type SimulatedReplication, writeReplication } from "./replication-results.ts";

/** Maker of run folders for tests: simulated operations on a virtual clock, written with the libraries drivers use. */

/** An operation as simulated; ms after the shared start. */
export interface SimulatedOperation {
  readonly worker: number;
  readonly operation: string;
  readonly phase: "warmup" | "measure";
  readonly endpoint: number;
  readonly intendedMs: number;
  readonly sentMs: number;
  readonly completedMs: number;
  readonly outcome: string;
  readonly attempts: number;
}

/** A stretch in which writes are not served; the truth that failover is compared with. */
export interface Outage {
  /** After the start of the measure phase. */
  readonly fromMs: number;
  readonly forMs: number;
  /**
   * `held`: writes wait and are all answered when it ends. `refused`: they fail at once. `hung`: they fail, but only
   * after the time-out.
   */
  readonly manner: "held" | "refused" | "hung";
}

/** Anything a test wants otherwise; every field has a default that makes a good run. */
export interface RunOptions {
  readonly run?: string;
  readonly experiment?: string;
  readonly seed?: number;
  readonly workers?: number;
  readonly ratePerSecond?: number;
  readonly operations?: Readonly<Record<string, number>>;
  readonly warmupMs?: number;
  readonly measureMs?: number;
  readonly cooldownMs?: number;
  readonly timeoutMs?: number;
  /** Time the network takes for one operation; `random` is uniform in [0, 1). */
  readonly serviceMs?: (random: () => number, operation: string, intendedMs: number) => number;
  /** Delay before sending, made by the driver. */
  readonly latenessMs?: (random: () => number) => number;
  readonly outage?: Outage;
  /** When the leader was killed, after the start of the measure phase; null for a run without faults. */
  readonly killAtMs?: number | null;
  readonly objectives?: readonly Readonly<Record<string, string | number>>[];
  /** How acknowledged writes spread; without it replication is not observed. */
  readonly replication?: SimulatedReplication;
  /** Changes to what is written, to make runs that are damaged, dishonest or unlucky. */
  readonly editOperations?: (operations: SimulatedOperation[]) => SimulatedOperation[];
  readonly editSpec?: (spec: RunSpec) => unknown;
  readonly editWorker?: (worker: WorkerResult) => unknown;
  readonly editConductor?: (conductor: ConductorResult) => unknown;
  readonly editEvents?: (operations: SimulatedOperation[], worker: number) => SimulatedOperation[];
}

/** Shared start of every made run, ms since 1970. */
export const startAtMs = Date.UTC(2026, 0, 15, 12, 0, 0);

/** Uniform numbers in [0, 1) from a seed: the public-domain generator mulberry32. */
export function uniformRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A log-normal draw with this median; `sigma` 0.5 makes a p99 about three times the median. */
export function logNormal(random: () => number, median: number, sigma: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return median * Math.exp(sigma * normal);
}

type Optional = "outage" | "replication";
type Settings = Required<Omit<RunOptions, Optional | `edit${string}`>> & Pick<RunOptions, Optional>;

function settingsOf(options: RunOptions): Settings {
  return {
    run: options.run ?? "20260115-120000-ab12",
    experiment: options.experiment ?? "kv",
    seed: options.seed ?? 7,
    workers: options.workers ?? 2,
    ratePerSecond: options.ratePerSecond ?? 300,
    operations: options.operations ?? { put: 1, get: 9 },
    warmupMs: options.warmupMs ?? 5_000,
    measureMs: options.measureMs ?? 30_000,
    cooldownMs: options.cooldownMs ?? 2_000,
    timeoutMs: options.timeoutMs ?? 5_000,
    serviceMs: options.serviceMs ?? ((random, name) => logNormal(random, name === "put" ? 4 : 2, 0.5)),
    latenessMs: options.latenessMs ?? ((random) => random()),
    killAtMs: options.killAtMs === undefined ? 15_000 : options.killAtMs,
    objectives: options.objectives ?? [
      { metric: "success_ratio", min: 0.99 },
      { metric: "lost_writes", max: 0 },
      { metric: "get.latency.p99", max: "5s" },
    ],
    ...(options.outage === undefined ? {} : { outage: options.outage }),
    ...(options.replication === undefined ? {} : { replication: options.replication }),
  };
}

/** Operations of all workers in order of intended time: even spacing, worker i offset by i/(n·rate). */
export function simulate(options: RunOptions = {}): SimulatedOperation[] {
  const settings = settingsOf(options);
  const random = uniformRandom(settings.seed);
  const { warmupMs, measureMs, workers, ratePerSecond } = settings;
  const gapMs = 1000 / ratePerSecond;
  const count = Math.floor((warmupMs + measureMs) / gapMs);
  const operations = Array.from({ length: count }, (_, index) => {
    const intendedMs = index * gapMs;
    const operation = pick(settings.operations, random());
    const sentMs = intendedMs + settings.latenessMs(random);
    const served = { outcome: "ok", completedMs: sentMs + settings.serviceMs(random, operation, intendedMs) };
    const { outcome, completedMs } = suffer(settings, operation, sentMs, served);
    return {
      worker: index % workers,
      operation,
      phase: intendedMs < warmupMs ? ("warmup" as const) : ("measure" as const),
      endpoint: index % 3,
      intendedMs,
      sentMs,
      completedMs,
      outcome,
      attempts: outcome === "ok" && completedMs === served.completedMs ? 1 : 2,
    };
  });
  return options.editOperations?.(operations) ?? operations;
}

function pick(weights: Readonly<Record<string, number>>, at: number): string {
  const entries = Object.entries(weights);
  let left = at * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [name, weight] of entries) {
    left -= weight;
    if (left < 0) {
      return name;
    }
  }
  return entries.at(-1)?.[0] ?? "";
}

type Answer = { readonly outcome: string; readonly completedMs: number };

/** What the outage does to a write sent in it; reads go on. */
function suffer(settings: Settings, operation: string, sentMs: number, served: Answer): Answer {
  const { outage, warmupMs, timeoutMs } = settings;
  const fromMs = warmupMs + (outage?.fromMs ?? 0);
  const toMs = fromMs + (outage?.forMs ?? 0);
  // A write still under way when the outage begins is caught by it too.
  const caught = operation !== "get" && served.completedMs > fromMs && sentMs < toMs;
  if (outage === undefined || !caught) {
    return served;
  }
  switch (outage.manner) {
    case "held":
      return { outcome: "ok", completedMs: toMs + (served.completedMs - sentMs) };
    case "refused":
      return { outcome: "no_leader", completedMs: served.completedMs };
    case "hung":
      return { outcome: "timeout", completedMs: sentMs + timeoutMs };
  }
}

/** Writes a whole run folder and returns its operations, the raw truth behind every number in it. */
export async function makeRunFolder(folder: string, options: RunOptions = {}): Promise<SimulatedOperation[]> {
  const settings = settingsOf(options);
  const operations = simulate(options);
  const spec = specOf(settings);
  const conductor = conductorOf(settings);
  await mkdir(folder, { recursive: true });
  await writeJson(join(folder, "spec.json"), options.editSpec?.(spec) ?? spec);
  await writeFile(join(folder, "experiment.yaml"), experimentYaml(settings));
  await writeJson(join(folder, "conductor.json"), options.editConductor?.(conductor) ?? conductor);
  await writeJson(join(folder, "environment.json"), environment);
  for (let index = 0; index < settings.workers; index += 1) {
    const own = operations.filter((operation) => operation.worker === index);
    const worker = workerOf(settings, index, own);
    await mkdir(join(folder, `workers/${index}`), { recursive: true });
    await writeJson(join(folder, `workers/${index}/worker.json`), options.editWorker?.(worker) ?? worker);
    writeEvents(join(folder, `workers/${index}/events.parquet`), options.editEvents?.(own, index) ?? own);
    if (settings.replication !== undefined) {
      writeReplication(join(folder, `workers/${index}/replication.parquet`), settings.replication, own, startAtMs);
    }
  }
  return operations;
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(value));
}

/** Cuts a file of a run folder to a share of its length. */
export async function cutFile(folder: string, file: string, share = 0.6): Promise<void> {
  const path = join(folder, file);
  await truncate(path, Math.floor((await readFile(path)).length * share));
}

/** Rewrites a JSON document of a run folder. */
export async function editJson(
  folder: string,
  file: string,
  edit: (document: Record<string, unknown>) => unknown,
): Promise<void> {
  const path = join(folder, file);
  await writeFile(path, JSON.stringify(edit(JSON.parse(await readFile(path, "utf8")))));
}

function specOf(settings: Settings): RunSpec {
  return {
    schema: runSpecVersion,
    run: settings.run,
    experiment: settings.experiment,
    system: "kv",
    seed: settings.seed,
    workers: settings.workers,
    operations: { ...settings.operations },
    arrival: { kind: "open", ratePerSecond: settings.ratePerSecond, process: "uniform" },
    phases: { warmupMs: settings.warmupMs, measureMs: settings.measureMs, cooldownMs: settings.cooldownMs },
    timeoutMs: settings.timeoutMs,
    parameters: { keys: 500, valueSize: 128, distribution: "uniform" },
    endpoints: [0, 1, 2].map((ordinal) => ({
      group: "replica",
      ordinal,
      pod: `kv-${ordinal}`,
      url: `http://kv-${ordinal}.kv.kv-local.svc.cluster.local:8080`,
    })),
    pods: { namespace: "kv-local", selector: { "app.kubernetes.io/name": "kv" } },
    faults:
      settings.killAtMs === null
        ? []
        : [{ index: 0, kind: "kill", atMs: settings.killAtMs, target: { role: "leader", count: 1 } }],
    ...(settings.replication === undefined ? {} : { replication: { deadlineMs: settings.replication.deadlineMs } }),
    conductorUrl: "http://conductor.kv-local.svc.cluster.local:8070",
  };
}

function experimentYaml(settings: Settings): string {
  return stringify({
    schema: "orrery/v1",
    name: settings.experiment,
    seed: settings.seed,
    network: { system: "kv", replicas: 3 },
    workload: {
      operations: settings.operations,
      arrival: { rate: `${settings.ratePerSecond}/s` },
      phases: {
        warmup: `${settings.warmupMs}ms`,
        measure: `${settings.measureMs}ms`,
        cooldown: `${settings.cooldownMs}ms`,
      },
      workers: settings.workers,
      timeout: `${settings.timeoutMs}ms`,
    },
    faults:
      settings.killAtMs === null ? [] : [{ at: `${settings.killAtMs}ms`, kind: "kill", target: { role: "leader" } }],
    objectives: settings.objectives,
    ...(settings.replication === undefined
      ? {}
      : { observe: { replication: { deadline: `${settings.replication.deadlineMs}ms` } } }),
  });
}

function conductorOf(settings: Settings): ConductorResult {
  const endMs = startAtMs + settings.warmupMs + settings.measureMs + settings.cooldownMs;
  return {
    schema: conductorResultVersion,
    run: settings.run,
    startAtMs,
    workers: Array.from({ length: settings.workers }, (_, index) => ({
      index,
      pod: `run-${index}`,
      node: "local",
      joinedAtMs: startAtMs - 3_000 + index * 40,
      doneAtMs: endMs + 1_500,
    })),
    faults: settings.killAtMs === null ? [] : [killEvidence(settings, settings.killAtMs)],
  };
}

function killEvidence(settings: Settings, killAtMs: number): FaultEvidence {
  const plannedAtMs = startAtMs + settings.warmupMs + killAtMs;
  const actedAtMs = plannedAtMs + 2;
  const leaderAfterAtMs = actedAtMs + (settings.outage?.forMs ?? 700);
  return {
    index: 0,
    kind: "kill",
    target: { role: "leader", count: 1 },
    plannedAtMs,
    actedAtMs,
    applied: true,
    members: [
      {
        pod: "kv-0",
        ordinal: 0,
        role: "leader",
        uid: "5e0c8a3e-0001",
        goneAtMs: actedAtMs + 60,
        replacementUid: "5e0c8a3e-0002",
        readyAtMs: actedAtMs + 3_200,
      },
    ],
    leaderBefore: "kv-0",
    leaderAfter: "kv-2",
    leaderAfterAtMs,
    observations: [
      { atMs: actedAtMs, what: "delete kv-0 accepted" },
      { atMs: leaderAfterAtMs, what: "kv-2 leads" },
    ],
  };
}

const environment: Environment = {
  target: "local",
  context: "orrery-local",
  kubernetes: "v1.34.2",
  nodes: [
    {
      name: "local",
      cpu: "2",
      memory: "24Gi",
      kernel: "6.1.0",
      os: "Debian GNU/Linux 12",
      runtime: "containerd://2.1.4",
    },
  ],
  images: [{ name: "kv", image: "orrery/kv:3f2a9c", digest: "sha256:3f2a9c" }],
  versions: { orrery: "0.1.0", node: "24.21.0" },
  kubernetesPlugin: "orrery",
  networkPolicyEnforced: false,
};

const us = (ms: number): number => Math.round(ms * 1000);

/** A histogram as drivers keep it: 1 µs to 10 min, 3 digits. */
export function histogramOf(valuesUs: readonly number[]): Histogram {
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 600_000_000,
    numberOfSignificantValueDigits: 3,
  });
  for (const value of valuesUs) {
    histogram.recordValue(value);
  }
  return histogram;
}

const encoded = (valuesUs: readonly number[]): string => encodeIntoCompressedBase64(histogramOf(valuesUs));

function workerOf(settings: Settings, index: number, own: readonly SimulatedOperation[]): WorkerResult {
  const { warmupMs, measureMs, cooldownMs } = settings;
  const endMs = warmupMs + measureMs;
  const late = own.map((operation) => operation.sentMs - operation.intendedMs).sort((a, b) => a - b);
  const at = (share: number): number => late[Math.ceil(late.length * share) - 1] ?? 0;
  const writes = own.filter((operation) => operation.operation !== "get" && operation.outcome === "ok");
  return {
    schema: workerResultVersion,
    run: settings.run,
    worker: index,
    pod: `run-${index}`,
    node: "local",
    startAtMs,
    phases: [
      { name: "warmup", startMs: 0, endMs: warmupMs },
      { name: "measure", startMs: warmupMs, endMs },
      { name: "cooldown", startMs: endMs, endMs: endMs + cooldownMs },
    ],
    clock: { offsetMs: 0.08, roundTripMs: 0.6, end: { offsetMs: 0.11, roundTripMs: 0.7 }, wallStepMs: 0.02 },
    operations: Object.fromEntries(
      Object.keys(settings.operations).map((name) => [
        name,
        operationOf(own.filter((operation) => operation.operation === name)),
      ]),
    ),
    health: {
      eventLoopDelayMs: { p50: 1.1, p99: 3.4, max: 12 },
      latenessMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
      cpu: { usedSeconds: 4.2, throttledSeconds: 0.1, limitCores: 1 },
      maxInFlight: 12,
      inFlightLimit: 1500,
      idle: {
        windowMs: 1200,
        eventLoopDelayMs: { p50: 0.4, p99: 1.8, max: 3 },
        roundTripMs: { p50: 0.5, p99: 1.6, max: 4 },
      },
    },
    durability: { acknowledged: writes.length, keysChecked: 500, keysUnread: 0, lost: 0, examples: [] },
    ...(settings.replication === undefined ? {} : { replication: replicationResultOf(settings.replication, own) }),
  };
}

function operationOf(own: readonly SimulatedOperation[]): OperationResult {
  const measured = own.filter((operation) => operation.phase === "measure");
  const good = measured.filter((operation) => operation.outcome === "ok");
  const errors: Record<string, number> = {};
  for (const { outcome } of measured) {
    if (outcome !== "ok") {
      errors[outcome] = (errors[outcome] ?? 0) + 1;
    }
  }
  const latency = (operation: SimulatedOperation): number => us(operation.completedMs) - us(operation.intendedMs);
  const lastMs = own.reduce((last, operation) => Math.max(last, operation.completedMs), 0);
  return {
    offered: measured.length,
    sent: measured.length,
    succeeded: good.length,
    errors,
    dropped: 0,
    latency: encoded(measured.map(latency)),
    successLatency: encoded(good.map(latency)),
    serviceTime: encoded(measured.map((operation) => us(operation.completedMs) - us(operation.sentMs))),
    intervals: Array.from({ length: Math.ceil(lastMs / 1000) }, (_, second) => {
      const within = (ms: number): boolean => Math.floor(ms / 1000) === second;
      const done = own.filter((operation) => within(operation.completedMs));
      return {
        atMs: second * 1000,
        offered: own.filter((operation) => within(operation.intendedMs)).length,
        completed: done.length,
        failed: done.filter((operation) => operation.outcome !== "ok").length,
        latency: encoded(done.map(latency)),
      };
    }),
  };
}

function writeEvents(filename: string, operations: readonly SimulatedOperation[]): void {
  const instant = (ms: number): bigint => BigInt(startAtMs) * 1000n + BigInt(us(ms));
  const columns: Readonly<Record<(typeof eventColumns)[number]["name"], unknown[]>> = {
    worker: operations.map((operation) => operation.worker),
    operation: operations.map((operation) => operation.operation),
    phase: operations.map((operation) => operation.phase),
    endpoint: operations.map((operation) => operation.endpoint),
    intended_us: operations.map((operation) => instant(operation.intendedMs)),
    sent_us: operations.map((operation) => instant(operation.sentMs)),
    completed_us: operations.map((operation) => instant(operation.completedMs)),
    outcome: operations.map((operation) => operation.outcome),
    attempts: operations.map((operation) => operation.attempts),
  };
  parquetWriteFile({
    filename,
    columnData: eventColumns.map(({ name, type }) => ({ name, type, nullable: false, data: columns[name] })),
  });
}
