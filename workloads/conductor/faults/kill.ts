import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../../schema/errors.ts";
import type { Pod } from "../kubernetes.ts";
import type { RoleWatch } from "./roles.ts";
import { type Evidence, type FaultKind, type FaultScene, observe } from "./scene.ts";

const pollMs = 20;
const podPollMs = 100;
/** The kubelet reports a container that ended within a second or so. */
const crashProofMs = 5_000;

/**
 * Has members crash where the network offers a way, and deletes their pods. It is proved when every pod that was meant
 * is gone, after a crash where one was asked for, and was replaced; it is over when the replacements are ready and a
 * leader is known.
 */
export const kill: FaultKind = {
  act: async (scene, evidence, pods) => {
    const { namespace } = scene.spec.pods;
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
  },
  follow,
  hit: ({ goneAtMs, replacementUid, crashed }) => goneAtMs !== null && replacementUid !== null && crashed !== false,
  unproved: "the pods were not seen gone and replaced",
};

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
