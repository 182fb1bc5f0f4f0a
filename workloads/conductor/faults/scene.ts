import type { FaultEvidence, RunSpec } from "../../../schema/run.ts";
import type { ConnectorModule } from "../../core/connector.ts";
import type { Kubernetes, Pod } from "../kubernetes.ts";
import type { RoleWatch } from "./roles.ts";

/** What a fault needs from its surroundings. */
export interface FaultScene {
  readonly spec: RunSpec;
  readonly kubernetes: Pick<Kubernetes, "pod" | "kill" | "exec">;
  readonly roles: ConnectorModule["roles"];
  /** ms since 1970. */
  readonly now: () => number;
  /** Keeps the evidence as it is now. */
  readonly save: (evidence: FaultEvidence) => Promise<void>;
  /** Aborts when the run is over; what was not seen by then stays unknown. */
  readonly over: AbortSignal;
}

export interface FaultTimes {
  readonly plannedAtMs: number;
  /** Acting later than this would say nothing about the run: the end of the measure phase. */
  readonly latestAtMs: number;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
export type Evidence = Mutable<Omit<FaultEvidence, "members">> & {
  members: Mutable<FaultEvidence["members"][number]>[];
};

/** How one kind of fault is done to pods that have been chosen, and what proves it. */
export interface FaultKind {
  /** Does it. The evidence holds the pods and the time of the act, and is saved. */
  readonly act: (scene: FaultScene, evidence: Evidence, pods: readonly Pod[], watch: RoleWatch) => Promise<void>;
  /** Watches what follows, until it is over or the run is. Also called by a conductor that did not act itself. */
  readonly follow: (scene: FaultScene, evidence: Evidence, watch: RoleWatch) => Promise<void>;
  /** Whether this member shows what was asked for. */
  readonly hit: (member: Evidence["members"][number]) => boolean;
  /** Why the fault does not count when it acted but some member was not hit. */
  readonly unproved: string;
}

/** Repeated sights are kept once. */
export function observe(evidence: Evidence, scene: FaultScene, what: string): void {
  if (evidence.observations.at(-1)?.what !== what) {
    evidence.observations = [...evidence.observations, { atMs: scene.now(), what }];
  }
}
