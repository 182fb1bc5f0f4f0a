import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RunSpec } from "../../../schema/run.ts";
import { type Connector, loadConnector, type OperationContext } from "../../../workloads/core/connector.ts";
import { seededRandom } from "../../../workloads/core/random.ts";
import { connect, roles, valueMaker } from "../../../workloads/kv/connector.ts";
import { type Behaviour, type StubMember, startStubNetwork } from "./support/stub-kv.ts";

let members: StubMember[];
let connector: Connector;

const specFor = (network: readonly StubMember[]): RunSpec => ({
  schema: "orrery/run/v1",
  run: "r",
  experiment: "kv",
  system: "kv",
  seed: 7,
  workers: 1,
  operations: { put: 1 },
  arrival: { kind: "open", ratePerSecond: 1, process: "uniform" },
  phases: { warmupMs: 0, measureMs: 1000, cooldownMs: 0 },
  timeoutMs: 1000,
  parameters: { keys: 1, valueSize: 16, distribution: "uniform" },
  endpoints: network.map(({ endpoint }) => endpoint),
  pods: { namespace: "n", selector: {} },
  faults: [],
  conductorUrl: "http://127.0.0.1:1",
});

beforeEach(async () => {
  members = await startStubNetwork(3);
  connector = await connect(specFor(members), { worker: 0 });
});

afterEach(async () => {
  await connector.close();
  await Promise.all(members.map((member) => member.stop()));
});

let sequence = 0;

function within(ms: number): OperationContext {
  const endMs = performance.now() + ms;
  sequence += 1;
  return { sequence, random: seededRandom(sequence), headers: {}, remainingMs: () => endMs - performance.now() };
}

const perform = async (name: string, ms = 3000) => {
  const operation = connector.operations[name];
  if (operation === undefined) {
    throw new Error(`no operation ${name}`);
  }
  return await operation(within(ms));
};

const behave = (...behaviours: Behaviour[]): void => {
  for (const [index, behaviour] of behaviours.entries()) {
    const member = members[index];
    if (member !== undefined) {
      member.behaviour = behaviour;
    }
  }
};

describe("operations", () => {
  test("what is put is got, locally and not, until it is deleted", async () => {
    const put = await perform("put");
    expect(put).toMatchObject({ ok: true, attempts: 1, write: { key: "w0-0", lingering: false } });
    expect(await connector.readBack?.("w0-0")).toBe(put.write?.value);
    expect(await perform("get")).toMatchObject({ ok: true, attempts: 1 });
    expect(await perform("get_local")).toMatchObject({ ok: true });
    expect(await perform("delete")).toMatchObject({ ok: true, write: { key: "w0-0", value: null } });
    expect(await connector.readBack?.("w0-0")).toBeNull();
    expect(await perform("get")).toMatchObject({ ok: true });
    const requests = members.flatMap((member) => member.requests);
    expect(requests).toContain("GET /kv/w0-0?local=true");
    expect(requests).toContain("DELETE /kv/w0-0");
  });

  test("members take turns", async () => {
    const endpoints = [];
    for (let turn = 0; turn < 6; turn += 1) {
      endpoints.push((await perform("get")).endpoint);
    }
    expect(endpoints.slice(0, 3).sort()).toEqual([0, 1, 2]);
    expect(endpoints.slice(3)).toEqual(endpoints.slice(0, 3));
  });

  test("values name their write, are of the size asked for, and differ between runs", () => {
    const make = valueMaker(3, "run-a", 64);
    expect(make(35)).toMatch(/^3-z\./);
    expect(new Set(Array.from({ length: 1000 }, (_, n) => make(n))).size).toBe(1000);
    expect(make(1)).toHaveLength(64);
    expect(valueMaker(3, "run-b", 64)(35)).not.toBe(make(35));
    expect(valueMaker(0, "run-a", 8)(7)).toHaveLength(8);
  });
});

describe("failing members", () => {
  test.each<Behaviour>(["503", "504", "reset"])("one that answers %s is passed over", async (behaviour) => {
    behave(behaviour, behaviour, "serve");
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await perform("put")).toMatchObject({ ok: true, endpoint: 2 });
    }
  });

  test("one whose process is gone is passed over, avoided, and used again when it is back", async () => {
    await members[0]?.stop();
    for (let turn = 0; turn < 6; turn += 1) {
      expect(await perform("put")).toMatchObject({ ok: true });
    }
    const outcome = await perform("put");
    expect(outcome.attempts).toBe(1);
    await members[0]?.restart();
    await new Promise((resolve) => setTimeout(resolve, 600));
    const used = [];
    for (let turn = 0; turn < 3; turn += 1) {
      used.push((await perform("get")).endpoint);
    }
    expect(used.sort()).toEqual([0, 1, 2]);
  });

  test("one that swallows requests costs an attempt, not the whole time-out", async () => {
    behave("hang", "hang", "serve");
    const begunMs = performance.now();
    const outcome = await perform("put", 10_000);
    expect(outcome).toMatchObject({ ok: true, endpoint: 2 });
    expect(performance.now() - begunMs).toBeLessThan(10_000);
  });

  test("when none can serve, the last word is the code and the time-out holds", async () => {
    behave("503", "503", "503");
    const begunMs = performance.now();
    const outcome = await perform("put", 300);
    const tookMs = performance.now() - begunMs;
    expect(outcome).toMatchObject({ ok: false, code: "no_leader" });
    expect(tookMs).toBeGreaterThan(250);
    expect(tookMs).toBeLessThan(10_000);
    expect(outcome.attempts).toBeLessThan(120); // it does not spin
    behave("hang", "hang", "hang");
    expect(await perform("get", 200)).toMatchObject({ ok: false, code: "timeout" });
    await Promise.all(members.map((member) => member.stop()));
    expect(await perform("get", 200)).toMatchObject({ ok: false, code: "refused" });
  });

  test("a write that may still take effect elsewhere lingers; one that surely was not applied does not", async () => {
    behave("applied-504", "applied-504", "serve");
    expect((await collect("put")).some(({ write, attempts }) => attempts > 1 && write?.lingering === true)).toBe(true);
    await connector.close();
    connector = await connect(specFor(members), { worker: 0 });
    behave("503", "503", "serve");
    const outcomes = await collect("put");
    expect(outcomes.some(({ attempts }) => attempts > 1)).toBe(true);
    expect(outcomes.every(({ write }) => write?.lingering === false)).toBe(true);
  });

  test("a key that cannot be read back now is an error, not an answer", async () => {
    behave("reset", "reset", "reset");
    await Promise.all(members.map((member) => member.stop()));
    await expect(connector.readBack?.("w0-0")).rejects.toThrow(/^refused at member \d$/);
  }, 10_000);
});

async function collect(name: string) {
  const outcomes = [];
  for (let turn = 0; turn < 3; turn += 1) {
    outcomes.push(await perform(name));
  }
  return outcomes;
}

describe("roles", () => {
  test("members tell role and leader; those that do not answer are left out", async () => {
    await members[1]?.stop();
    expect(await roles(members.map(({ endpoint }) => endpoint))).toEqual([
      { pod: "kv-0", ordinal: 0, role: "leader", leader: "kv-0" },
      { pod: "kv-2", ordinal: 2, role: "follower", leader: "kv-0" },
    ]);
    const last = members[2];
    if (last !== undefined) {
      last.leaderPid = null;
      expect(await roles([last.endpoint])).toEqual([{ pod: "kv-2", ordinal: 2, role: "follower", leader: null }]);
    }
  });
});

describe("looking connectors up", () => {
  test("by the system's name; what is missing is named", async () => {
    expect((await loadConnector("kv")).roles).toBe(roles);
    await expect(loadConnector("warp")).rejects.toThrow("workloads/warp/connector.ts cannot be loaded");
    await expect(loadConnector("../cli")).rejects.toThrow("is no system name");
    await expect(loadConnector("core")).rejects.toThrow("must export connect(spec, options)");
  });
});
