import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../../schema/errors.ts";
import type { FaultEvidence, PlannedFault, RunSpec } from "../../../schema/run.ts";
import type { ConnectorModule } from "../../core/connector.ts";
import { log } from "../../core/log.ts";
import type { Kubernetes, Pod } from "../kubernetes.ts";
import { RoleWatch } from "./roles.ts";
import { findVictims } from "./victims.ts";

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

/** Roles are watched from a little before the act, so that they are known when it comes. */
const leadMs = 1_000;

/**
 * Carries out a fault and watches what follows until everything is as it was, or the run is over.
 *
 * @param earlier Evidence kept by a conductor that was stopped in the middle; what it did is not done again.
 */
export async function carryOut(
  kind: FaultKind,
  fault: PlannedFault,
  times: FaultTimes,
  scene: FaultScene,
  earlier: FaultEvidence | undefined,
): Promise<void> {
  const evidence: Evidence = earlier === undefined ? unseen(fault, times.plannedAtMs) : structuredClone(earlier);
  await waitUntil(times.plannedAtMs - leadMs, scene);
  const watch = new RoleWatch(scene.spec.endpoints, scene.roles, scene.now);
  try {
    if (evidence.actedAtMs === null) {
      await waitUntil(times.plannedAtMs, scene);
      await act(kind, fault, times, scene, evidence, watch);
    } else {
      observe(evidence, scene, "the conductor was started again and goes on watching");
    }
    if (evidence.members.length > 0) {
      await kind.follow(scene, evidence, watch);
    }
  } catch (error) {
    evidence.reason = messageOf(error);
    observe(evidence, scene, `the fault was given up: ${evidence.reason}`);
    log("error", "a fault failed", { run: scene.spec.run, fault: fault.index, error: messageOf(error) });
  } finally {
    await watch.end();
  }
  const wanted = "count" in fault.target ? fault.target.count : 1;
  evidence.applied = evidence.members.filter(kind.hit).length === wanted;
  if (evidence.applied) {
    delete evidence.reason;
  }
  await scene.save(evidence);
}

export function unseen(fault: PlannedFault, plannedAtMs: number): FaultEvidence {
  return {
    index: fault.index,
    kind: fault.kind,
    target: fault.target,
    ...(fault.forMs === undefined ? {} : { forMs: fault.forMs }),
    plannedAtMs,
    actedAtMs: null,
    applied: false,
    reason: "it was not carried out",
    members: [],
    leaderBefore: null,
    leaderAfter: null,
    leaderAfterAtMs: null,
    observations: [],
  };
}

/** Finds the members that are meant and their pods, and does it to them. */
async function act(
  kind: FaultKind,
  fault: PlannedFault,
  times: FaultTimes,
  scene: FaultScene,
  evidence: Evidence,
  watch: RoleWatch,
): Promise<void> {
  const victims = await findVictims(fault, times, scene, watch);
  if (typeof victims === "string") {
    evidence.reason = victims;
    return;
  }
  const { namespace } = scene.spec.pods;
  const pods: Pod[] = [];
  for (const { endpoint, role } of victims) {
    const pod = await scene.kubernetes.pod(namespace, endpoint.pod);
    if (pod === undefined) {
      evidence.reason = `there is no pod ${endpoint.pod} in ${namespace}`;
      return;
    }
    pods.push(pod);
    evidence.members.push({
      pod: pod.name,
      ordinal: endpoint.ordinal,
      role,
      uid: pod.uid,
      goneAtMs: null,
      replacementUid: null,
      readyAtMs: null,
    });
  }
  evidence.leaderBefore = watch.leader() ?? null;
  evidence.actedAtMs = scene.now();
  await scene.save(evidence); // before the act: a conductor that dies now must not do it twice
  evidence.reason = kind.unproved;
  await kind.act(scene, evidence, pods, watch);
}

/** Repeated sights are kept once. */
export function observe(evidence: Evidence, scene: FaultScene, what: string): void {
  if (evidence.observations.at(-1)?.what !== what) {
    evidence.observations = [...evidence.observations, { atMs: scene.now(), what }];
  }
}

async function waitUntil(atMs: number, { now, over }: FaultScene): Promise<void> {
  const leftMs = atMs - now();
  if (leftMs > 0 && !over.aborted) {
    await sleep(leftMs, undefined, { signal: over }).catch(() => undefined); // only the end of the run rejects it
  }
}
