import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../schema/errors.ts";
import { type ConductorResult, conductorResultSchema, conductorResultVersion } from "../../schema/results.ts";
import { type FaultEvidence, type Progress, type RunSpec, type RunStatus, runSpecSchema } from "../../schema/run.ts";
import type { ConnectorModule } from "../core/connector.ts";
import { log } from "../core/log.ts";
import { carryOut, unseen } from "./faults/fault.ts";
import { faultKinds } from "./faults/kinds.ts";
import type { Kubernetes } from "./kubernetes.ts";
import type { RunState, RunStore } from "./store.ts";

/** From the last worker's arrival to the start: enough for each to hear of it and compare clocks. */
const startLeadMs = 1_500;
/** From the first worker's arrival until the run is given up because others are missing. */
const barrierLimitMs = 180_000;
/** After phases, time-out and what workers wait for: reading back written keys, and delivering. */
const collectLimitMs = 100_000;
/** Once every worker is done, what a fault is still waiting for is waited for this long. */
const faultGraceMs = 5_000;

/** What a worker asks for is not possible as the run stands. */
export class RunConflict extends Error {
  readonly status: 404 | 409 | 410;
  constructor(status: 404 | 409 | 410, message: string) {
    super(message);
    this.name = "RunConflict";
    this.status = status;
  }
}

export interface RunSurroundings {
  readonly kubernetes: Kubernetes;
  readonly connector: (system: string) => Promise<Pick<ConnectorModule, "roles">>;
  /** ms since 1970, never going back. */
  readonly now: () => number;
}

interface Seen {
  lastSeenAtMs: number | null;
  progress: Progress | null;
}

type WorkerState = RunState["workers"][number];

/** One run from its first worker's arrival to the conductor's own results. What must survive a restart is in `state`. */
export class Run {
  readonly spec: RunSpec;
  readonly store: RunStore;
  readonly #state: RunState;
  readonly #around: RunSurroundings;
  readonly #seen: Seen[];
  readonly #started = Promise.withResolvers<number | undefined>();
  readonly #allDone = Promise.withResolvers<void>();
  readonly #completed = Promise.withResolvers<void>();
  readonly #over = new AbortController();
  #faults: Promise<unknown> = Promise.resolve();
  #problem: string | undefined;

  constructor(specText: string, state: RunState | undefined, store: RunStore, around: RunSurroundings) {
    this.spec = runSpecSchema.parse(JSON.parse(specText));
    this.store = store;
    this.#around = around;
    this.#state = state ?? firstState(this.spec);
    this.#seen = this.#state.workers.map(() => ({ lastSeenAtMs: null, progress: null }));
    this.#started.promise.catch(() => undefined);
    this.#resume();
  }

  get complete(): boolean {
    return this.#state.complete;
  }

  /** Resolves once `conductor.json` is kept. */
  get completed(): Promise<void> {
    return this.#completed.promise;
  }

  /**
   * Takes a worker in and waits for the others, `limitMs` at most.
   *
   * @returns the shared start instant, or undefined when it is not known yet
   */
  async join(index: number, who: { readonly pod: string; readonly node: string }, limitMs: number) {
    const worker = this.#worker(index);
    if (worker.pod !== null && worker.pod !== who.pod) {
      throw new RunConflict(409, `worker ${index} is ${worker.pod} already; ${who.pod} cannot take its place`);
    }
    if (this.complete) {
      throw new RunConflict(410, `run ${this.spec.run} is over`);
    }
    if (worker.joinedAtMs === null) {
      const nowMs = this.#around.now();
      Object.assign(worker, { ...who, joinedAtMs: nowMs });
      if (this.#state.firstJoinAtMs === null) {
        this.#state.firstJoinAtMs = nowMs;
        void this.#giveUpAtBarrier(nowMs + barrierLimitMs);
      }
      if (this.#state.workers.every(({ joinedAtMs }) => joinedAtMs !== null)) {
        this.#state.startAtMs = Math.ceil(nowMs + startLeadMs);
      }
      await this.#save();
      if (this.#state.startAtMs !== null) {
        log("info", "every worker is there", { run: this.spec.run, startAtMs: this.#state.startAtMs });
        this.#begin(this.#state.startAtMs);
      }
    }
    this.#notice(index);
    const startAtMs = await Promise.race([this.#started.promise, sleep(limitMs)]);
    if (startAtMs === undefined && this.complete) {
      throw new RunConflict(410, `run ${this.spec.run} was given up: not every worker came`);
    }
    return startAtMs;
  }

  progress(index: number, progress: Progress): void {
    this.#worker(index);
    this.#notice(index).progress = progress;
  }

  /** @throws RunConflict when the run is over and the file is not one it has, unchanged */
  assertOpenFor(path: string, kept: boolean): void {
    if (this.complete && !kept) {
      throw new RunConflict(409, `run ${this.spec.run} is complete without ${path}; it comes too late`);
    }
  }

  async done(index: number): Promise<void> {
    const worker = this.#worker(index);
    this.#notice(index);
    if (worker.doneAtMs !== null) {
      return;
    }
    if (this.complete) {
      throw new RunConflict(409, `run ${this.spec.run} was completed without worker ${index}`);
    }
    if ((await this.store.locate(`workers/${index}/worker.json`)) === undefined) {
      throw new RunConflict(409, `worker ${index} has not delivered worker.json`);
    }
    worker.doneAtMs = this.#around.now();
    await this.#save();
    if (this.#state.workers.every(({ doneAtMs }) => doneAtMs !== null)) {
      this.#allDone.resolve();
    }
  }

  /** Notes why this run cannot end well any more; the first reason stays. */
  fail(problem: string): void {
    this.#problem ??= problem;
  }

  status(): RunStatus {
    const nowMs = this.#around.now();
    const { startAtMs } = this.#state;
    const running = startAtMs !== null && nowMs < startAtMs + lengthMs(this.spec);
    return {
      run: this.spec.run,
      state: this.complete ? "complete" : startAtMs === null ? "waiting" : running ? "running" : "collecting",
      startAtMs,
      nowMs,
      workers: this.#state.workers.map(({ joinedAtMs, doneAtMs }, index) => ({
        index,
        joinedAtMs,
        doneAtMs,
        lastSeenAtMs: this.#seen[index]?.lastSeenAtMs ?? null,
        progress: this.#seen[index]?.progress ?? null,
      })),
      faults: this.#state.faults,
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
    };
  }

  /** Goes on where a conductor before this one stopped. */
  #resume(): void {
    if (this.complete) {
      this.#started.resolve(this.#state.startAtMs ?? undefined);
      this.#completed.resolve();
      return;
    }
    if (this.#state.workers.every(({ doneAtMs }) => doneAtMs !== null)) {
      this.#allDone.resolve();
    }
    if (this.#state.startAtMs !== null) {
      this.#begin(this.#state.startAtMs);
    } else if (this.#state.firstJoinAtMs !== null) {
      void this.#giveUpAtBarrier(this.#state.firstJoinAtMs + barrierLimitMs);
    }
  }

  #begin(startAtMs: number): void {
    this.#started.resolve(startAtMs);
    this.#faults = this.#carryOutFaults(startAtMs);
    void this.#end(startAtMs);
  }

  async #carryOutFaults(startAtMs: number): Promise<void> {
    const { spec } = this;
    const measureAtMs = startAtMs + spec.phases.warmupMs;
    const { roles } = await this.#around.connector(spec.system);
    await Promise.all(
      spec.faults.map(async (fault) => {
        const kept = this.#state.faults.find(({ index }) => index === fault.index);
        const times = { plannedAtMs: measureAtMs + fault.atMs, latestAtMs: measureAtMs + spec.phases.measureMs };
        const { kubernetes, now } = this.#around;
        const scene = { spec, kubernetes, roles, now, over: this.#over.signal, save: this.#keepEvidence };
        const earlier = kept?.actedAtMs == null ? undefined : kept;
        await carryOut(faultKinds[fault.kind], fault, times, scene, earlier);
      }),
    );
  }

  readonly #keepEvidence = async (evidence: FaultEvidence): Promise<void> => {
    const faults = this.#state.faults;
    const place = faults.findIndex(({ index }) => index === evidence.index);
    faults[place] = structuredClone(evidence);
    await this.#save();
  };

  /** Completes the run when everybody is done, or when waiting longer makes no sense. */
  async #end(startAtMs: number): Promise<void> {
    const timer = new AbortController();
    const limitMs = closesAtMs(this.spec, startAtMs) - this.#around.now();
    const late = sleep(Math.max(0, limitMs), undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([this.#allDone.promise, late]);
    timer.abort();
    const faults = this.#faults.catch((error: unknown) =>
      log("error", "faults failed", { run: this.spec.run, error: messageOf(error) }),
    );
    await Promise.race([faults, sleep(faultGraceMs)]);
    this.#over.abort();
    await faults;
    await this.#complete();
  }

  async #giveUpAtBarrier(atMs: number): Promise<void> {
    await Promise.race([
      this.#started.promise,
      sleep(Math.max(0, atMs - this.#around.now()), undefined, { ref: false }),
    ]);
    if (this.#state.startAtMs === null && !this.complete) {
      const missing = this.#state.workers.flatMap(({ joinedAtMs }, index) => (joinedAtMs === null ? index : []));
      log("error", "workers are missing at the barrier; the run is given up", { run: this.spec.run, missing });
      for (const fault of this.#state.faults) {
        fault.reason = "the run never started";
      }
      await this.#complete();
      this.#started.resolve(undefined);
    }
  }

  async #complete(): Promise<void> {
    const { startAtMs, workers, faults } = this.#state;
    const result: ConductorResult = conductorResultSchema.parse({
      schema: conductorResultVersion,
      run: this.spec.run,
      startAtMs,
      workers: workers.map((worker, index) => ({ index, ...worker })),
      faults,
    });
    try {
      await this.store.keepText("conductor.json", `${JSON.stringify(result, null, 2)}\n`);
      this.#state.complete = true;
      await this.#save();
      log("info", "the run is complete", { run: this.spec.run });
    } catch (error) {
      this.fail(`the run's results could not be kept: ${messageOf(error)}`);
      log("error", "the run's results could not be kept", { run: this.spec.run, error: messageOf(error) });
    }
    this.#completed.resolve();
  }

  #worker(index: number): WorkerState {
    const worker = this.#state.workers[index];
    if (worker === undefined) {
      throw new RunConflict(404, `run ${this.spec.run} has ${this.spec.workers} workers, from 0; there is no ${index}`);
    }
    return worker;
  }

  #notice(index: number): Seen {
    const seen = this.#seen[index] ?? { lastSeenAtMs: null, progress: null };
    seen.lastSeenAtMs = this.#around.now();
    return seen;
  }

  async #save(): Promise<void> {
    await this.store.saveState(this.#state);
  }
}

function firstState(spec: RunSpec): RunState {
  return {
    firstJoinAtMs: null,
    startAtMs: null,
    workers: Array.from({ length: spec.workers }, () => ({ pod: null, node: null, joinedAtMs: null, doneAtMs: null })),
    faults: spec.faults.map((fault) => unseen(fault, 0)),
    complete: false,
  };
}

/** When a run is over for the conductor, whoever has not delivered by then. */
export function closesAtMs(spec: RunSpec, startAtMs: number): number {
  return startAtMs + lengthMs(spec) + (spec.afterLoadMs ?? 0) + collectLimitMs;
}

/** From the shared start until the last operation has been answered or given up. */
function lengthMs({ phases, timeoutMs }: RunSpec): number {
  return phases.warmupMs + phases.measureMs + Math.max(phases.cooldownMs, timeoutMs);
}
