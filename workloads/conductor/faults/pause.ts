import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../../schema/errors.ts";
import type { Pod } from "../kubernetes.ts";
import type { RoleWatch } from "./roles.ts";
import { type Evidence, type FaultKind, type FaultScene, observe } from "./scene.ts";

const pollMs = 20;
/** An exec session is set up and torn down within this, beyond the pause itself. */
const execGraceMs = 10_000;

/**
 * Stops the members' processes with SIGSTOP and lets them go on with SIGCONT: they keep their connections and their
 * memory and say nothing, as a machine does that hangs. The program in the pod both stops and resumes them, so that
 * nothing stays frozen when the conductor dies meanwhile. It is proved when a member fell silent and answers again, in
 * the container it was in.
 */
export const pause: FaultKind = {
  act: async (scene, evidence, pods, watch) => {
    await Promise.all([
      ...pods.map(async (pod) => await freeze(scene, evidence, pod)),
      follow(scene, evidence, watch), // whoever falls silent does so while the program in the pod still runs
    ]);
  },
  follow,
  hit: ({ goneAtMs, readyAtMs, paused }) => paused === true && goneAtMs !== null && readyAtMs !== null,
  unproved: "the members were not seen silent and answering again",
};

async function freeze(scene: FaultScene, evidence: Evidence, pod: Pod): Promise<void> {
  const { namespace, pause: command } = scene.spec.pods;
  const member = evidence.members.find(({ uid }) => uid === pod.uid);
  const { forMs } = evidence;
  if (member === undefined || forMs === undefined) {
    return;
  }
  member.paused = false;
  if (command === undefined) {
    evidence.reason = `nothing in the image of ${pod.name} can pause it`;
    return;
  }
  try {
    const words = { ...command, command: [...command.command, String(Math.round(forMs))] };
    const end = await scene.kubernetes.exec(namespace, pod.name, words, forMs + execGraceMs);
    const after = await scene.kubernetes.pod(namespace, pod.name);
    const said = [end.output, end.failure].filter((text) => text !== undefined && text !== "").join(": ");
    observe(evidence, scene, `${words.command.join(" ")} in ${pod.name}: ${said || "the connection broke off"}`);
    const restarted = after?.uid !== pod.uid || after.restarts !== pod.restarts;
    if (restarted) {
      evidence.reason = `the container of ${pod.name} was started again while it was paused; pause for a shorter time`;
      observe(evidence, scene, evidence.reason);
    }
    member.paused = end.failure === undefined && end.output !== "" && !restarted;
  } catch (error) {
    evidence.reason = messageOf(error);
    observe(evidence, scene, `${pod.name} could not be paused: ${evidence.reason}`);
  }
}

async function follow(scene: FaultScene, evidence: Evidence, watch: RoleWatch): Promise<void> {
  const actedAtMs = evidence.actedAtMs ?? scene.now();
  const resumesAtMs = actedAtMs + (evidence.forMs ?? 0);
  const hit = new Set(evidence.members.map((member) => member.pod));
  while (!scene.over.aborted) {
    const nowMs = scene.now();
    const answering = new Set(watch.members().map((member) => member.pod));
    for (const member of evidence.members) {
      if (member.goneAtMs === null && (watch.lastSilentAtMs(member.pod) ?? 0) > actedAtMs) {
        member.goneAtMs = nowMs;
        observe(evidence, scene, `${member.pod} no longer answers`);
        await scene.save(evidence);
      }
      if (member.goneAtMs !== null && member.readyAtMs === null && answering.has(member.pod) && nowMs >= resumesAtMs) {
        member.readyAtMs = nowMs;
        observe(evidence, scene, `${member.pod} answers again`);
        await scene.save(evidence);
      }
    }
    await noteLeader(scene, evidence, watch, hit);
    const over = nowMs > resumesAtMs + execGraceMs;
    if (over || evidence.members.every((member) => member.readyAtMs !== null)) {
      return;
    }
    await sleep(pollMs);
  }
  observe(evidence, scene, "the run ended before everything was seen");
}

/** A leader that is paused is not believed until it answers again; another that a majority takes is noted once. */
async function noteLeader(
  scene: FaultScene,
  evidence: Evidence,
  watch: RoleWatch,
  hit: ReadonlySet<string>,
): Promise<void> {
  if (evidence.leaderAfterAtMs !== null || evidence.members.some(({ goneAtMs }) => goneAtMs === null)) {
    return;
  }
  const back = evidence.members.every(({ readyAtMs }) => readyAtMs !== null);
  const leader = watch.leader(back ? new Set() : hit);
  if (leader !== undefined) {
    evidence.leaderAfter = leader;
    evidence.leaderAfterAtMs = scene.now();
    observe(evidence, scene, `a majority takes ${leader} for the leader`);
    await scene.save(evidence);
  }
}
