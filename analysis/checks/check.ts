import type { Experiment } from "../../schema/experiment.ts";
import type { Objective } from "../../schema/objectives.ts";
import type { ConductorResult } from "../../schema/results.ts";
import type { RunSpec } from "../../schema/run.ts";
import type { Failover } from "../failover.ts";
import type { OperationTotals } from "../merge.ts";
import type { WorkerData } from "../read.ts";
import type { Replication } from "../replication.ts";
import type { Writes } from "../writes.ts";

/** What the spec and the conductor say; enough to see whether everybody took part. */
export interface Protocol {
  readonly spec: RunSpec;
  readonly conductor: ConductorResult;
}

/** A run whose every file is whole. */
export interface WholeRun extends Protocol {
  readonly experiment: Experiment;
  readonly objectives: readonly Objective[];
  readonly workers: readonly WorkerData[];
  /** ms since 1970 on the conductor's clock. */
  readonly startAtMs: number;
  readonly totals: ReadonlyMap<string, OperationTotals>;
  /** Noise floor by metric, in its unit; see noise.ts. */
  readonly noise: Readonly<Record<string, number>>;
  /** By position in `conductor.faults`. */
  readonly failovers: readonly Failover[];
  /** Null where replication was not observed. */
  readonly replication: Replication | null;
  /** Null where replication was not observed, or nothing was to be written. */
  readonly writes: Writes | null;
}

/** Something a check found. A failure makes the run invalid; a warning does not. */
export interface Finding {
  readonly severity: "failure" | "warning";
  /** What was found, with figures. */
  readonly text: string;
  /** What to do about it. */
  readonly fix: string;
}

export const failure = (text: string, fix: string): Finding => ({ severity: "failure", text, fix });
export const warning = (text: string, fix: string): Finding => ({ severity: "warning", text, fix });

export interface CheckOutcome {
  readonly findings: readonly Finding[];
  /** What was measured, for the report; when nothing was found, why that is good. */
  readonly text: string;
}

/** One question asked of a run before its numbers are believed. */
export interface Check<Run extends Protocol> {
  /** Stable name. */
  readonly check: string;
  readonly title: string;
  /** Null when the question does not arise. */
  readonly run: (run: Run) => CheckOutcome | null;
}
