import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../schema/errors.ts";
import { type WorkerResult, workerResultSchema, workerResultVersion } from "../../schema/results.ts";
import type { PhaseName, RunSpec } from "../../schema/run.ts";
import { type Clock, shiftedClock, sleepUntil, systemClock, wallLeadMs } from "./clock.ts";
import { type ClockOffset, ConductorClient } from "./conductor-client.ts";
import { type Connector, loadConnector } from "./connector.ts";
import { checkDurability, WriteLog } from "./durability.ts";
import { EventLog } from "./events.ts";
import { cpuBetween, EventLoopWatch, readCpu } from "./health.ts";
import { watchHeld } from "./held.ts";
import { summaryMs } from "./histogram.ts";
import { watchIdle } from "./idle.ts";
import { type Completed, Load, type LoadObserver } from "./load.ts";
import { log } from "./log.ts";
import { both } from "./observers.ts";
import { Recorder } from "./recorder.ts";
import { ReplicationWatch } from "./replication.ts";
import { type BeginTelemetry, loadTelemetry } from "./telemetry/load.ts";

/** What one worker is given. */
export interface WorkerTask {
  readonly spec: RunSpec;
  readonly worker: number;
  readonly token: string;
  readonly pod: string;
  readonly node: string;
  /** Folder of the network's credentials. */
  readonly credentials?: string | undefined;
}

const joinLimitMs = 210_000;
const clockLimitMs = 5_000;
const deliveryLimitMs = 60_000;
const readBackLimitMs = 30_000;
const readBackConcurrency = 32;
/** A worker whose pod is being removed has 30 s altogether. */
const stoppedReadBackLimitMs = 5_000;

/**
 * Runs one worker from the barrier to the delivery of its results.
 *
 * @param stop Aborts early: nothing more is sent, what was measured is delivered.
 * @throws ConductorError when the run could not be joined or its results not be delivered
 */
export async function runWorker(task: WorkerTask, stop: AbortSignal): Promise<void> {
  const { spec, worker } = task;
  const connector = await (await loadConnector(spec.system)).connect(spec, { worker, credentials: task.credentials });
  const conductor = new ConductorClient({ url: spec.conductorUrl, run: spec.run, token: task.token, worker });
  const beginTelemetry = await loadTelemetry(spec, task, connector);
  const folder = await mkdtemp(join(tmpdir(), "orrery-driver-"));
  const over = new AbortController();
  try {
    const reference = await connector.reference?.(stop);
    const wallLead = wallLeadMs();
    const startAtMs = await conductor.join({ pod: task.pod, node: task.node }, joinLimitMs, stop);
    const offset = await conductor.clockOffset(stop);
    log("info", "every worker is there", { worker, startAtMs, ...offset });
    const measured = await measure(task, {
      connector,
      conductor,
      startAtMs,
      offset,
      wallLead,
      stop,
      beginTelemetry,
      over: over.signal,
      reference,
    });
    await deliver(conductor, folder, measured);
    const { user, system } = process.cpuUsage();
    log("info", "results are delivered", { worker, cpuSeconds: (user + system) / 1e6 });
  } finally {
    over.abort();
    await connector.close();
    await conductor.close();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Scene {
  readonly connector: Connector;
  readonly conductor: ConductorClient;
  readonly startAtMs: number;
  readonly offset: ClockOffset;
  /** See {@link wallLeadMs}, before the start. */
  readonly wallLead: number;
  readonly stop: AbortSignal;
  readonly beginTelemetry: BeginTelemetry;
  /** The worker has ended, well or badly. */
  readonly over: AbortSignal;
  readonly reference: WorkerResult["reference"];
}

interface Measured {
  readonly result: WorkerResult;
  readonly events: EventLog;
  readonly replication: ReplicationWatch | undefined;
}

async function measure(task: WorkerTask, scene: Scene): Promise<Measured> {
  const { spec, worker } = task;
  const clock = shiftedClock(systemClock, scene.offset.offsetMs * 1000);
  const startUs = Math.round(scene.startAtMs * 1000);
  const measureUs = startUs + Math.round(spec.phases.warmupMs * 1000);
  const endUs = measureUs + Math.round(spec.phases.measureMs * 1000);
  const events = new EventLog(worker);
  const recorder = new Recorder(Object.keys(spec.operations), startUs, measureUs, events);
  const writes = new WriteLog();
  const replication = watchReplication(task, scene, clock);
  const telemetry = scene.beginTelemetry(measureUs);
  const observer: LoadObserver = {
    offered: recorder.offered.bind(recorder),
    sent: recorder.sent.bind(recorder),
    dropped: recorder.dropped.bind(recorder),
    completed: (done: Completed) => {
      recorder.completed(done);
      noteWrite(writes, done);
      replication?.completed(done, done.intendedUs >= measureUs);
    },
  };
  const observers = telemetry === undefined ? observer : both(observer, telemetry.observer);
  const plan = { spec, worker, startUs, endUs };
  const load = new Load(plan, scene.connector.operations, clock, observers, telemetry?.beginSpan);
  const stopLoad = (): void => load.stop();
  scene.stop.addEventListener("abort", stopLoad, { once: true });

  const ended = new AbortController();
  scene.over.addEventListener("abort", () => ended.abort(), { once: true });
  const reports = reportProgress(clock, recorder, scene.conductor, { startUs, measureUs, endUs }, ended.signal);
  const health = watchHealth(clock, measureUs, endUs, scene.stop);
  const held = countHeld(spec, scene, clock, { fromUs: measureUs, toUs: endUs });
  const idle = await watchIdle(clock, startUs, scene.conductor, scene.stop);
  await sleepUntil(clock, startUs, scene.stop);
  if (scene.stop.aborted) {
    load.stop();
  }
  await load.run();
  const { eventLoopDelayMs, cpu } = await health;
  const members = await held;
  const loadEndedUs = clock.nowUs();
  const clockReading = await readClockAgain(scene);
  await sleepUntil(clock, endUs + spec.phases.cooldownMs * 1000, scene.stop);
  const durability = await readBack(scene, writes, load.hung);
  await replication?.settled(scene.stop);
  const anchors = await scene.connector.lookAtAnchors?.(scene.stop);
  const replicated = await replication?.stop();
  ended.abort();
  await reports;
  const sent = await telemetry?.finish();
  const result = workerResultSchema.parse({
    schema: workerResultVersion,
    run: spec.run,
    worker,
    pod: task.pod,
    node: task.node,
    startAtMs: scene.startAtMs,
    phases: phasesOf(spec, scene.stop.aborted ? (loadEndedUs - startUs) / 1000 : Number.POSITIVE_INFINITY),
    clock: clockReading,
    operations: recorder.finish(loadEndedUs),
    health: {
      eventLoopDelayMs,
      latenessMs: summaryMs(recorder.lateness),
      cpu,
      maxInFlight: recorder.mostInFlight,
      inFlightLimit: load.maxInFlight,
      ...(idle === undefined ? {} : { idle }),
    },
    durability,
    ...(replicated === undefined ? {} : { replication: replicated }),
    ...(members === undefined ? {} : { held: members }),
    ...(anchors === undefined ? {} : { anchors }),
    ...(scene.reference === undefined ? {} : { reference: scene.reference }),
    ...(sent === undefined ? {} : { telemetry: sent }),
  });
  return { result, events, replication };
}

/** Compares the clocks once more; a conductor that stays away costs this reading, not the results. */
async function readClockAgain({ conductor, offset, wallLead, stop }: Scene): Promise<WorkerResult["clock"]> {
  const limit = AbortSignal.any([stop, AbortSignal.timeout(clockLimitMs)]);
  const end = await conductor.clockOffset(limit).catch((error: unknown) => {
    log("warn", "the clocks could not be compared again", { error: messageOf(error) });
    return null;
  });
  return { ...offset, end, wallStepMs: wallLeadMs() - wallLead };
}

/** Follows writes to every member where the run asks for it. */
function watchReplication({ spec, worker }: WorkerTask, { connector, over }: Scene, clock: Clock) {
  if (spec.replication === undefined) {
    return undefined;
  }
  const observe = connector.observe?.bind(connector);
  if (observe === undefined) {
    throw new Error(`members of ${spec.system} have no feed; drop observe.replication from the experiment.`);
  }
  const { endpoints, timeoutMs } = spec;
  return new ReplicationWatch({ endpoints, timeoutMs, worker, ...spec.replication }, observe, clock, over);
}

/** Undefined where the system does not tell what its members hold. */
async function countHeld(
  { endpoints }: RunSpec,
  { connector, stop }: Scene,
  clock: Clock,
  span: { readonly fromUs: number; readonly toUs: number },
): Promise<WorkerResult["held"]> {
  const held = connector.held?.bind(connector);
  return held === undefined ? undefined : await watchHeld(held, endpoints, clock, span, stop);
}

/** The phases as planned, cut off where the worker was stopped. */
function phasesOf(spec: RunSpec, stoppedMs: number): WorkerResult["phases"] {
  const { warmupMs, measureMs, cooldownMs } = spec.phases;
  const bounds: [PhaseName, number, number][] = [
    ["warmup", 0, warmupMs],
    ["measure", warmupMs, warmupMs + measureMs],
    ["cooldown", warmupMs + measureMs, warmupMs + measureMs + cooldownMs],
  ];
  return bounds
    .filter(([, startMs]) => startMs <= stoppedMs)
    .map(([name, startMs, endMs]) => ({ name, startMs, endMs: Math.min(endMs, stoppedMs) }));
}

function noteWrite(writes: WriteLog, { outcome, sentUs, completedUs }: Completed): void {
  if (outcome.write !== undefined) {
    const { key, value, lingering } = outcome.write;
    writes.add(key, {
      value,
      startUs: sentUs,
      acknowledgedUs: outcome.ok ? completedUs : Number.POSITIVE_INFINITY,
      settledUs: outcome.ok && !lingering ? completedUs : Number.POSITIVE_INFINITY,
    });
  }
}

/** The driver's own condition during the measure phase. */
async function watchHealth(clock: Clock, fromUs: number, toUs: number, stop: AbortSignal) {
  const eventLoop = new EventLoopWatch();
  await sleepUntil(clock, fromUs, stop);
  const before = readCpu();
  eventLoop.start();
  await sleepUntil(clock, toUs, stop);
  return { eventLoopDelayMs: eventLoop.stop(), cpu: cpuBetween(before, readCpu()) };
}

async function reportProgress(
  clock: Clock,
  recorder: Recorder,
  conductor: ConductorClient,
  bounds: { readonly startUs: number; readonly measureUs: number; readonly endUs: number },
  ended: AbortSignal,
): Promise<void> {
  for (let atUs = bounds.startUs + 1_000_000; !ended.aborted; atUs += 1_000_000) {
    await sleepUntil(clock, atUs, ended);
    const nowUs = clock.nowUs();
    recorder.roll(nowUs);
    const phase = nowUs < bounds.measureUs ? "warmup" : nowUs < bounds.endUs ? "measure" : "cooldown";
    await conductor.progress({ phase, ...recorder.progress() });
  }
}

/** Null when the system cannot be checked, or when a write may have been made that nobody knows of. */
async function readBack(scene: Scene, writes: WriteLog, hung: number): Promise<WorkerResult["durability"]> {
  const read = scene.connector.readBack?.bind(scene.connector);
  if (read === undefined) {
    return null;
  }
  if (hung > 0) {
    log("error", "operations never settled; lost writes cannot be told", { operations: hung });
    return null;
  }
  const endMs = performance.now() + (scene.stop.aborted ? stoppedReadBackLimitMs : readBackLimitMs);
  const { result, reasons } = await checkDurability(writes, read, {
    concurrency: readBackConcurrency,
    timeLeft: () => performance.now() < endMs,
    pause: () => sleep(100),
  });
  if (result.keysUnread > 0) {
    log("warn", "keys could not be read back", { keys: result.keysUnread, reasons });
  }
  return result;
}

async function deliver(
  conductor: ConductorClient,
  folder: string,
  { result, events, replication }: Measured,
): Promise<void> {
  const eventsFile = join(folder, "events.parquet");
  await events.write(eventsFile);
  await conductor.deliver("events.parquet", eventsFile, deliveryLimitMs);
  if (replication !== undefined) {
    const replicationFile = join(folder, "replication.parquet");
    await replication.write(replicationFile);
    await conductor.deliver("replication.parquet", replicationFile, deliveryLimitMs);
  }
  const resultFile = join(folder, "worker.json");
  await writeFile(resultFile, `${JSON.stringify(result)}\n`);
  await conductor.deliver("worker.json", resultFile, deliveryLimitMs);
  await conductor.done(deliveryLimitMs);
}
