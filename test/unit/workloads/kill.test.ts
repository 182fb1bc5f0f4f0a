import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ConductorResult } from "../../../schema/results.ts";
import type { FaultEvidence, PlannedFault, RunSpec } from "../../../schema/run.ts";
import { Stage } from "./support/processes.ts";

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.set();
});

afterEach(async () => {
  await stage.clear();
});

const kill = (index: number, atMs: number, target: PlannedFault["target"]): PlannedFault => ({
  index,
  kind: "kill",
  atMs,
  target,
});

/** What a kubelet and a replicated store do with a killed pod: it dies, others elect, it comes back. */
function comeBack(electMs: number, readyMs: number): void {
  stage.kubernetes.onDeleted = (name) => {
    const victim = stage.members.find(({ endpoint }) => endpoint.pod === name);
    void (async () => {
      await sleep(50); // the process outlives its pod object a little, and goes on claiming its role
      const led = victim?.role === "leader";
      await victim?.stop();
      await sleep(electMs);
      if (led) {
        const next = stage.members.find((member) => member !== victim);
        for (const member of stage.members) {
          member.role = member === next ? "leader" : "follower";
          member.leaderPid = (next?.ordinal ?? 0) + 1;
        }
      }
      await sleep(readyMs - electMs);
      stage.kubernetes.create(name, false);
      await victim?.restart();
      await sleep(100);
      stage.kubernetes.pods.set(name, { uid: stage.kubernetes.pods.get(name)?.uid ?? "", ready: true });
    })();
  };
}

async function runWith(faults: PlannedFault[], changes: Partial<RunSpec> = {}): Promise<ConductorResult> {
  const spec = stage.publish({ faults, phases: { warmupMs: 200, measureMs: 3000, cooldownMs: 500 }, ...changes });
  const conductor = await stage.startConductor();
  const driver = await stage.startDriver(spec);
  expect(await driver.exitCode(), driver.output).toBe(0);
  return await stage.untilComplete(spec.run, conductor);
}

test("the leader is killed on time, its end, its replacement and the new leader are seen, no write is lost", async () => {
  comeBack(300, 600);
  const before = stage.kubernetes.pods.get("kv-0")?.uid;
  const { faults, startAtMs } = await runWith([kill(0, 800, { role: "leader", count: 1 })]);
  const evidence = faults[0] as FaultEvidence;
  expect(evidence).toMatchObject({ applied: true, leaderBefore: "kv-0", leaderAfter: "kv-1" });
  expect(evidence.reason).toBeUndefined();
  expect(evidence.plannedAtMs).toBe((startAtMs ?? 0) + 1000);
  const acted = evidence.actedAtMs ?? 0;
  expect(acted - evidence.plannedAtMs).toBeGreaterThanOrEqual(0);
  const [member] = evidence.members;
  expect(member).toMatchObject({ pod: "kv-0", ordinal: 0, role: "leader", uid: before });
  expect(member?.replacementUid).not.toBe(before);
  // The old leader's own claim in its last 50 ms is no election.
  expect((evidence.leaderAfterAtMs ?? 0) - acted).toBeGreaterThan(300);
  expect((member?.readyAtMs ?? 0) - acted).toBeGreaterThan(600);
  expect(stage.kubernetes.deletions).toEqual([
    {
      name: "kv-0",
      body: {
        kind: "DeleteOptions",
        apiVersion: "v1",
        gracePeriodSeconds: 0,
        preconditions: { uid: before },
      },
    },
  ]);
  const { operations, durability } = await stage.workerResult("test-1");
  expect(operations.put?.errors).toEqual({});
  expect(durability).toMatchObject({ lost: 0, keysUnread: 0 });
});

test("followers are chosen by the seed, as many as asked for", async () => {
  comeBack(50, 200);
  const { faults } = await runWith([kill(0, 500, { role: "follower", count: 2 })]);
  expect(faults[0]?.applied).toBe(true);
  expect(faults[0]?.members.map(({ pod }) => pod).sort()).toEqual(["kv-1", "kv-2"]);
  expect(faults[0]?.members.map(({ role }) => role)).toEqual(["follower", "follower"]);
});

test("a fault that cannot be applied says why and does not stop the next one", async () => {
  comeBack(50, 200);
  stage.kubernetes.pods.delete("kv-1");
  const { faults } = await runWith([
    kill(0, 300, { ordinal: 9 }),
    kill(1, 400, { ordinal: 1 }),
    kill(2, 500, { role: "candidate", count: 1 }),
    kill(3, 600, { ordinal: 2 }),
  ]);
  expect(faults.map(({ applied }) => applied)).toEqual([false, false, false, true]);
  expect(faults[0]?.reason).toBe("the network has no member with ordinal 9");
  expect(faults[1]?.reason).toBe("there is no pod kv-1 in test");
  expect(faults[2]?.reason).toContain("1 candidate could not be found before the measure phase ended");
  expect(faults[2]?.actedAtMs).toBeNull();
});

test("a deletion that the API server accepts but that changes nothing is not called applied", async () => {
  stage.kubernetes.ignoreDeletions = true;
  const { faults } = await runWith([kill(0, 300, { ordinal: 2 })]);
  expect(faults[0]).toMatchObject({ applied: false, reason: "the pods were not seen gone and replaced" });
});

test("a deletion that is refused is told with the server's answer", async () => {
  stage.kubernetes.refuseDeletions = 403;
  const { faults } = await runWith([kill(0, 300, { ordinal: 2 })]);
  expect(faults[0]?.applied).toBe(false);
  expect(faults[0]?.reason).toContain("the API server answers 403 to deleting pod kv-2");
});
