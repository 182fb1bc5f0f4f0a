import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { NamedOverlay } from "../analysis/report/figures.ts";
import { type ReportFormat, writeReports } from "../analysis/report.ts";
import { analyse } from "../analysis/summary.ts";
import { renderSummary } from "../analysis/terminal.ts";
import { namespaceOf } from "../components/simulation.ts";
import { conductorName } from "../components/workload/conductor.ts";
import { runDeadlineSeconds } from "../components/workload/plan.ts";
import { exitCodes, RunFailure } from "../schema/errors.ts";
import type { LoadedExperiment } from "../schema/load.ts";
import type { RunSpec, RunStatus } from "../schema/run.ts";
import type { Summary, Verdict } from "../schema/summary.ts";
import { kubeConfigOf } from "./cluster-client.ts";
import { type ConductorClient, conductorOf } from "./collect.ts";
import { type Console, formatSeconds } from "./console.ts";
import { describeEnvironment } from "./environment.ts";
import { describeLive, liveView } from "./live.ts";
import { askThrough, observedFiles } from "./observed.ts";
import type { Session } from "./session.ts";
import type { ExperimentStack } from "./stack.ts";
import type { PreparedTarget } from "./targets.ts";

/** What one run needs. */
export interface RunRequest extends Session {
  readonly loaded: LoadedExperiment;
  readonly target: PreparedTarget;
  readonly stack: ExperimentStack;
  readonly run: string;
  /** Folder results go below. */
  readonly results: string;
}

export interface RunOutcome {
  readonly summary: Summary;
  readonly folder: string;
  /** Path of each report. */
  readonly reports: Readonly<Record<ReportFormat, string>>;
}

export const verdictExitCodes: Readonly<Record<Verdict, number>> = {
  pass: exitCodes.pass,
  fail: exitCodes.fail,
  invalid: exitCodes.invalid,
};

/** A run id that sorts by time: `20261121-101500`, UTC. */
export function newRunId(now: Date): string {
  return now.toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}

/**
 * Deploys, runs, collects and judges. `pulumi up` and the run are one step to Pulumi, so both are watched at once:
 * the engine's events until the drivers have met, then the conductor's status.
 */
export async function carryOut(request: RunRequest): Promise<RunOutcome> {
  const { loaded, stack, run, console, signals } = request;
  const rootSecret = await stack.config("rootSecret");
  if (rootSecret === undefined) {
    throw new RunFailure(`stack ${stack.name} has no root secret; run \`orrery init\` again`);
  }
  await stack.configure({ run });
  const conductor = conductorOf(request.target.connection, loaded.experiment.name, run, rootSecret);

  const watching = new AbortController();
  const watcher = watch(request, conductor, watching.signal);
  let completed: RunStatus;
  try {
    await stack.up(signals.children);
    completed = await untilComplete(request, conductor);
  } catch (error) {
    throw await explained(error, request, conductor);
  } finally {
    watching.abort();
    await watcher;
    console.settle();
  }

  const kubeconfig = kubeConfigOf(request.target.connection);
  const namespace = namespaceOf(loaded.experiment.name);
  const folder = join(request.results, loaded.experiment.name, run);
  const environment = await describeEnvironment(kubeconfig, namespace, request.target);
  await conductor.collect(folder, {
    "experiment.yaml": loaded.source,
    "environment.json": `${JSON.stringify(environment, null, 2)}\n`,
    ...(await observedFiles(
      askThrough(kubeconfig, namespace),
      loaded.experiment.observe,
      { run, window: { fromMs: completed.startAtMs ?? completed.nowMs, toMs: completed.nowMs } },
      console.warn,
    )),
  });
  return await judge(folder);
}

/** A failed Job says only that it failed; the conductor may know why. */
async function explained(error: unknown, { run }: RunRequest, conductor: ConductorClient): Promise<unknown> {
  const status = await conductor.status().catch(() => undefined); // no conductor, no better explanation
  return status?.problem === undefined ? error : new RunFailure(`run ${run}: ${status.problem}`, { cause: error });
}

/** Analyses a run folder and writes its summary and reports. */
export async function judge(folder: string, overlay: NamedOverlay | null = null): Promise<RunOutcome> {
  const summary = await analyse(folder);
  return { summary, folder, reports: await writeReports(folder, overlay) };
}

/** Prints a run's verdict and where its report is. */
export function announce(outcome: RunOutcome, console: Console): void {
  const text = renderSummary(outcome.summary, {
    color: process.stdout.isTTY === true,
    width: process.stdout.columns ?? 100,
  });
  console.result(`${text}\nreport  ${relative(process.cwd(), outcome.reports.html)}`, outcome.summary);
}

/** Reports deploy time and the run's progress until told to stop. */
async function watch(request: RunRequest, conductor: ConductorClient, stop: AbortSignal): Promise<void> {
  const { console } = request;
  const began = Date.now();
  let deployed = false;
  let lastLine = 0;
  let spec: RunSpec | undefined;
  while (!stop.aborted) {
    const status = await conductor.status().catch(() => undefined); // not up yet, or restarting: asked again
    if (status?.startAtMs != null) {
      if (!deployed) {
        deployed = true;
        console.info(
          `network serves and ${status.workers.length} drivers have met, ${formatSeconds((Date.now() - began) / 1000)} after pulumi up began`,
        );
      }
      spec ??= await conductor.spec().catch(() => undefined); // likewise
      const line = spec === undefined ? "the load begins" : describeLive(liveView(status, spec));
      if (console.terminal) {
        console.live(line);
      } else if (Date.now() - lastLine > 5_000) {
        lastLine = Date.now();
        console.info(line);
      }
    }
    await delay(500, undefined, { signal: stop }).catch(() => undefined); // told to stop: the loop ends
  }
}

/** Waits for the end of the run; answers with the state it ended in. */
async function untilComplete(request: RunRequest, conductor: ConductorClient): Promise<RunStatus> {
  const deadline = Date.now() + runDeadlineSeconds(request.loaded.experiment) * 1000;
  while (Date.now() < deadline) {
    request.signals.command.throwIfAborted();
    const status = await conductor.status();
    if (status?.state === "complete") {
      return status;
    }
    if (status?.problem !== undefined) {
      throw new RunFailure(`run ${request.run}: ${status.problem}`);
    }
    await delay(250);
  }
  throw new RunFailure(
    `run ${request.run} did not end in time; \`kubectl logs deployment/${conductorName}\` says more`,
  );
}
