import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../../schema/errors.ts";
import type { FaultEvidence, PlannedFault } from "../../../schema/run.ts";
import { log } from "../../core/log.ts";
import type { Pod } from "../kubernetes.ts";
import { RoleWatch } from "./roles.ts";
import { type Evidence, type FaultKind, type FaultScene, type FaultTimes, observe } from "./scene.ts";
import { findVictims } from "./victims.ts";

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

async function waitUntil(atMs: number, { now, over }: FaultScene): Promise<void> {
  const leftMs = atMs - now();
  if (leftMs > 0 && !over.aborted) {
    await sleep(leftMs, undefined, { signal: over }).catch(() => undefined); // only the end of the run rejects it
  }
}
