import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Endpoint, FaultEvidence, PlannedFault, RunSpec } from "../../../schema/run.ts";
import { carryOut } from "../../../workloads/conductor/faults/fault.ts";
import { pause } from "../../../workloads/conductor/faults/pause.ts";
import type { FaultScene } from "../../../workloads/conductor/faults/scene.ts";
import type { CommandEnd, Pod } from "../../../workloads/conductor/kubernetes.ts";
import type { Member } from "../../../workloads/core/connector.ts";

const endpoints: Endpoint[] = [0, 1, 2].map((ordinal) => ({
  group: "replica",
  ordinal,
  pod: `kv-${ordinal}`,
  url: `http://kv-${ordinal}:8080`,
}));
const fault: PlannedFault = { index: 0, kind: "pause", atMs: 0, forMs: 300, target: { role: "leader", count: 1 } };

/** Three members of which some are frozen, and a pod whose processes a command freezes for as long as it says. */
class Network {
  readonly frozen = new Set<string>();
  readonly commands: string[][] = [];
  restarts = 0;
  /** What a pod does with the command. */
  exec = async (pod: string, ms: number): Promise<CommandEnd> => {
    this.frozen.add(pod);
    await sleep(ms);
    this.frozen.delete(pod);
    return { output: `paused 1 of orrery-kv for ${ms} ms` };
  };

  get leader(): string {
    return this.frozen.has("kv-0") ? "kv-1" : "kv-0";
  }

  scene(over: AbortSignal = AbortSignal.timeout(20_000)): FaultScene & { readonly saved: FaultEvidence[] } {
    const saved: FaultEvidence[] = [];
    const command = { container: "kv", command: ["/usr/local/bin/orrery-pause", "orrery-kv"] };
    const spec = { run: "r", seed: 1, endpoints, pods: { namespace: "n", selector: {}, pause: command } };
    return {
      spec: spec as unknown as RunSpec,
      kubernetes: {
        pod: async (_, name): Promise<Pod> => ({
          name,
          uid: name,
          ready: true,
          killed: false,
          restarts: this.restarts,
        }),
        kill: async () => expect.fail("a pause deletes nothing"),
        exec: async (_, pod, { command: words }) => {
          this.commands.push(words);
          return await this.exec(pod, Number(words.at(-1)));
        },
      },
      roles: async (asked): Promise<Member[]> =>
        asked
          .filter(({ pod }) => !this.frozen.has(pod))
          .map(({ pod, ordinal }) => ({
            pod,
            ordinal,
            role: pod === this.leader ? "leader" : "follower",
            leader: this.leader,
          })),
      now: () => performance.timeOrigin + performance.now(),
      save: async (evidence) => {
        saved.push(structuredClone(evidence));
      },
      over,
      saved,
    };
  }
}

async function paused(network: Network, over?: AbortSignal): Promise<FaultEvidence> {
  const scene = network.scene(over);
  const plannedAtMs = scene.now() + 50;
  await carryOut(pause, fault, { plannedAtMs, latestAtMs: plannedAtMs + 10_000 }, scene, undefined);
  const last = scene.saved.at(-1);
  return last ?? expect.fail("no evidence was saved");
}

describe("a pause", () => {
  test("is proved by silence and answers in the same container; the new leader is seen meanwhile", async () => {
    const network = new Network();
    const evidence = await paused(network);
    expect(network.commands).toEqual([["/usr/local/bin/orrery-pause", "orrery-kv", "300"]]);
    expect(evidence).toMatchObject({ kind: "pause", forMs: 300, applied: true, leaderBefore: "kv-0" });
    expect(evidence).toMatchObject({ leaderAfter: "kv-1" });
    expect(evidence.reason).toBeUndefined();
    const [member] = evidence.members;
    expect(member).toMatchObject({ pod: "kv-0", role: "leader", paused: true, replacementUid: null });
    const actedAtMs = evidence.actedAtMs ?? Number.NaN;
    expect(member?.goneAtMs ?? 0).toBeGreaterThanOrEqual(actedAtMs);
    expect((member?.readyAtMs ?? 0) - actedAtMs).toBeGreaterThanOrEqual(300);
  });

  test("that changes nothing is not called applied", async () => {
    const network = new Network();
    network.exec = async () => ({ output: "", failure: "exit code 1" });
    const evidence = await paused(network, AbortSignal.timeout(1_500));
    expect(evidence).toMatchObject({ applied: false, reason: "the members were not seen silent and answering again" });
    expect(evidence.observations.map(({ what }) => what).join()).toContain("exit code 1");
  });

  test("in which the kubelet started the container again is not called applied", async () => {
    const network = new Network();
    const freeze = network.exec;
    network.exec = async (pod, ms) => {
      const end = await freeze(pod, ms);
      network.restarts += 1;
      return end;
    };
    const evidence = await paused(network);
    expect(evidence.applied).toBe(false);
    expect(evidence.reason).toContain("kv-0 was started again while it was paused");
  });

  test("of an image without the program says so", async () => {
    const network = new Network();
    const scene = network.scene(AbortSignal.timeout(1_500));
    delete (scene.spec.pods as { pause?: unknown }).pause;
    await carryOut(pause, fault, { plannedAtMs: scene.now(), latestAtMs: scene.now() + 9_000 }, scene, undefined);
    expect(scene.saved.at(-1)).toMatchObject({ applied: false, reason: "nothing in the image of kv-0 can pause it" });
  });
});
