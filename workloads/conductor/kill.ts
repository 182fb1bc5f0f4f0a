import { setTimeout as sleep } from "node:timers/promises";
import type { Endpoint, FaultEvidence, PlannedFault, RunSpec } from "../../schema/run.ts";
import type { ConnectorModule } from "../core/connector.ts";
import { log, messageOf } from "../core/log.ts";
import { seededRandom } from "../core/random.ts";
import type { Kubernetes, Pod } from "./kubernetes.ts";
import { RoleWatch } from "./roles.ts";

/** What a fault needs from its surroundings. */
export interface FaultScene {
  readonly spec: RunSpec;
  readonly kubernetes: Kubernetes;
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
type Evidence = Mutable<Omit<FaultEvidence, "members">> & { members: Mutable<FaultEvidence["members"][number]>[] };

const pollMs = 20;
const podPollMs = 100;
/** The kubelet reports a container that ended within a second or so. */
const crashProofMs = 5_000;
/** Roles are watched from a little before the act, so that they are known when it comes. */
const leadMs = 1_000;

interface Victim {
  readonly endpoint: Endpoint;
  readonly role: string;
}

/**
 * Kills pods of the network and watches what follows until every one of them is replaced and ready and a leader is
 * known, or the run is over.
 *
 * @param earlier Evidence kept by a conductor that was stopped in the middle; what it did is not done again.
 */
export async function kill(
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
      await act(fault, times, scene, evidence, watch);
    } else {
      observe(evidence, scene, "the conductor was started again and goes on watching");
    }
    if (evidence.members.length > 0) {
      await follow(scene, evidence, watch);
    }
  } catch (error) {
    evidence.reason = messageOf(error);
    observe(evidence, scene, `the fault was given up: ${evidence.reason}`);
    log("error", "a fault failed", { run: scene.spec.run, fault: fault.index, error: messageOf(error) });
  } finally {
    await watch.end();
  }
  judge(fault, evidence);
  await scene.save(evidence);
}

export function unseen(fault: PlannedFault, plannedAtMs: number): FaultEvidence {
  return {
    index: fault.index,
    kind: fault.kind,
    target: fault.target,
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

/** Finds the members that are meant, has them crash where the network offers a way, and deletes their pods. */
async function act(
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
  await scene.save(evidence); // before the act: a conductor that dies now must not kill twice
  evidence.reason = "the pods were not seen gone and replaced";
  await Promise.all(
    pods.map(async (pod) => {
      try {
        await crash(scene, evidence, pod);
        const killed = await scene.kubernetes.kill(namespace, pod);
        observe(evidence, scene, `pod ${pod.name} ${killed ? "was deleted" : "was already replaced or gone"}`);
      } catch (error) {
        evidence.reason = messageOf(error);
        observe(evidence, scene, `pod ${pod.name} could not be deleted: ${evidence.reason}`);
      }
    }),
  );
}

/**
 * Ends a member's processes by SIGKILL, and waits until the kubelet has seen it. Deleting the pod alone would not do:
 * the kubelet sends SIGTERM first, and gives two seconds even when the grace period is 0.
 */
async function crash(scene: FaultScene, evidence: Evidence, pod: Pod): Promise<void> {
  const { namespace, crash: command } = scene.spec.pods;
  const member = evidence.members.find(({ uid }) => uid === pod.uid);
  if (command === undefined || member === undefined) {
    return;
  }
  member.crashed = false;
  const { output, failure } = await scene.kubernetes.exec(namespace, pod.name, command);
  const end = [output, failure].filter((text) => text !== undefined && text !== "").join(": ");
  observe(evidence, scene, `${command.command.join(" ")} in ${pod.name}: ${end || "the connection broke off"}`);
  for (const untilMs = scene.now() + crashProofMs; scene.now() < untilMs && !member.crashed; ) {
    const seen = await scene.kubernetes.pod(namespace, pod.name);
    member.crashed = seen?.uid === pod.uid && seen.killed;
    await sleep(pollMs);
  }
  observe(evidence, scene, `${pod.name} ${member.crashed ? "was" : "was not"} seen ended by SIGKILL`);
}

/** Members in the wanted role, waited for while it can still matter; or why there are none. */
async function findVictims(
  fault: PlannedFault,
  { latestAtMs }: FaultTimes,
  scene: FaultScene,
  watch: RoleWatch,
): Promise<Victim[] | string> {
  const { target } = fault;
  const { endpoints, seed } = scene.spec;
  let seen = "no member answered";
  while (scene.now() < latestAtMs && !scene.over.aborted) {
    const members = watch.members();
    if ("ordinal" in target) {
      const endpoint = endpoints.find((candidate) => candidate.ordinal === target.ordinal);
      if (endpoint === undefined) {
        return `the network has no member with ordinal ${target.ordinal}`;
      }
      if (watch.complete) {
        const role = members.find((member) => member.pod === endpoint.pod)?.role ?? "unknown";
        return [{ endpoint, role }];
      }
    } else {
      const holders = endpoints
        .map((endpoint) => ({ endpoint, role: members.find((member) => member.pod === endpoint.pod)?.role ?? "" }))
        .filter(({ role }) => role === target.role);
      if (watch.complete && holders.length >= target.count) {
        return chooseSome(holders, target.count, seededRandom(seed, fault.index, killStream));
      }
      seen = members.map(({ pod, role }) => `${pod} is ${role}`).join(", ") || seen;
    }
    await sleep(pollMs);
  }
  const wanted = "ordinal" in target ? `the member with ordinal ${target.ordinal}` : `${target.count} ${target.role}`;
  return `${wanted} could not be found before the measure phase ended: ${seen}`;
}

/** Keeps the choice of victims apart from other seeded choices. */
const killStream = 0x6b69;

function chooseSome<T>(from: readonly T[], count: number, random: { below(limit: number): number }): T[] {
  const left = [...from];
  return Array.from({ length: count }, () => left.splice(random.below(left.length), 1)).flat();
}

async function follow(scene: FaultScene, evidence: Evidence, watch: RoleWatch): Promise<void> {
  const victims = new Set(evidence.members.map((member) => member.pod));
  const silent = new Set<string>();
  const actedAtMs = evidence.actedAtMs ?? scene.now();
  let nextPodsAtMs = 0;
  while (!scene.over.aborted) {
    const nowMs = scene.now();
    for (const { pod } of evidence.members) {
      if (!silent.has(pod) && (watch.lastSilentAtMs(pod) ?? 0) > actedAtMs) {
        silent.add(pod);
        observe(evidence, scene, `${pod} no longer answers`);
      }
    }
    // A killed process may go on talking for a moment; it is believed again once it has been silent or is replaced.
    const dying = new Set([...victims].filter((pod) => !silent.has(pod) && !isReady(evidence, pod)));
    const leader = evidence.leaderAfterAtMs === null ? watch.leader(dying) : undefined;
    if (leader !== undefined) {
      evidence.leaderAfter = leader;
      evidence.leaderAfterAtMs = nowMs;
      observe(evidence, scene, `a majority takes ${leader} for the leader`);
      await scene.save(evidence);
    }
    if (nowMs >= nextPodsAtMs) {
      nextPodsAtMs = nowMs + podPollMs;
      await lookAtPods(scene, evidence);
    }
    const leaderKnown =
      evidence.leaderAfterAtMs !== null || !watch.members().some(({ leader: known }) => known !== undefined);
    if (leaderKnown && evidence.members.every((member) => member.readyAtMs !== null)) {
      return;
    }
    await sleep(pollMs);
  }
  observe(evidence, scene, "the run ended before everything was seen");
}

const isReady = (evidence: Evidence, pod: string): boolean =>
  evidence.members.some((member) => member.pod === pod && member.readyAtMs !== null);

async function lookAtPods(scene: FaultScene, evidence: Evidence): Promise<void> {
  const { namespace } = scene.spec.pods;
  for (const member of evidence.members.filter(({ readyAtMs }) => readyAtMs === null)) {
    let pod: Pod | undefined;
    try {
      pod = await scene.kubernetes.pod(namespace, member.pod);
    } catch (error) {
      observe(evidence, scene, `pod ${member.pod} could not be looked at: ${messageOf(error)}`);
      continue;
    }
    const before = JSON.stringify(member);
    if (pod?.uid !== member.uid) {
      member.goneAtMs ??= scene.now();
    }
    if (pod !== undefined && pod.uid !== member.uid) {
      member.replacementUid = pod.uid;
      member.readyAtMs = pod.ready ? scene.now() : null;
    }
    if (JSON.stringify(member) !== before) {
      await scene.save(evidence);
    }
  }
}

/** A kill is proved when every pod that was meant is gone, after a crash where one was asked for, and was replaced. */
function judge(fault: PlannedFault, evidence: Evidence): void {
  const wanted = "count" in fault.target ? fault.target.count : 1;
  const replaced = evidence.members.filter(
    ({ goneAtMs, replacementUid, crashed }) => goneAtMs !== null && replacementUid !== null && crashed !== false,
  );
  evidence.applied = replaced.length === wanted;
  if (evidence.applied) {
    delete evidence.reason;
  }
}

/** Repeated sights are kept once. */
function observe(evidence: Evidence, scene: FaultScene, what: string): void {
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
