import { createHash } from "node:crypto";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runToken } from "../../../components/kubernetes/identity.ts";
import { runTokenHeader, timeReplySchema } from "../../../schema/run.ts";
import { RunStore } from "../../../workloads/conductor/store.ts";
import { runKeyHex, Stage, tokenOf, until } from "./support/processes.ts";

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.set();
});

afterEach(async () => {
  await stage.clear();
});

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");

const join = (run: string, worker: number, pod = `pod-${worker}`): Promise<Response> =>
  stage.ask(run, `workers/${worker}/join`, { method: "POST", body: JSON.stringify({ pod, node: "node-a" }) });

const put = (run: string, name: string, text: string, sha256 = digestOf(text), worker = 0): Promise<Response> =>
  stage.ask(run, `workers/${worker}/files/${name}`, {
    method: "PUT",
    body: text,
    headers: { "x-orrery-sha256": sha256 },
  });

const done = (run: string, worker: number): Promise<Response> =>
  stage.ask(run, `workers/${worker}/done`, { method: "POST" });

describe("barrier", () => {
  test("three workers get one start instant, none before the last has come", async () => {
    const { run } = stage.publish({ workers: 3 });
    await stage.startConductor();
    const early = [join(run, 0), join(run, 1)];
    let answered = 0;
    for (const answer of early) {
      void answer.then(() => {
        answered += 1;
      });
    }
    await sleep(500);
    expect(answered).toBe(0);
    expect((await stage.status(run)).state).toBe("waiting");
    const lastMs = (await stage.status(run)).nowMs;
    const answers = await Promise.all([...early, join(run, 2)]);
    const starts = await Promise.all(answers.map(async (answer) => (await answer.json()) as { startAtMs: number }));
    expect(new Set(starts.map(({ startAtMs }) => startAtMs)).size).toBe(1);
    expect(starts[0]?.startAtMs).toBeGreaterThan(lastMs + 1000);
    expect((await (await join(run, 1)).json()) as unknown).toEqual(starts[0]); // asked again after a lost answer
    expect((await join(run, 1, "another-pod")).status).toBe(409);
    expect((await join(run, 3)).status).toBe(404);
  });

  test("the clock is told with the time of arrival and of answering", async () => {
    await stage.startConductor();
    const reply = timeReplySchema.parse(await (await fetch(`${stage.url}/v1/time`)).json());
    expect(Math.abs(reply.receivedAtMs - Date.now())).toBeLessThan(60_000); // ms since 1970, and no other unit
    expect(reply.sentAtMs).toBeGreaterThanOrEqual(reply.receivedAtMs);
  });
});

test("the kubelets are listed as Prometheus's HTTP discovery wants them, nodes without an address are not", async () => {
  stage.kubernetes.nodes.set("a", { Hostname: "a", InternalIP: "198.18.0.1" });
  stage.kubernetes.nodes.set("b", { InternalIP: "fd00::1" });
  stage.kubernetes.nodes.set("c", { Hostname: "c" });
  await stage.startConductor();
  expect(await (await fetch(`${stage.url}/v1/nodes`)).json()).toEqual([
    { targets: ["198.18.0.1:10250"], labels: { node: "a" } },
    { targets: ["[fd00::1]:10250"], labels: { node: "b" } },
  ]);
});

describe("access", () => {
  test("without the run's own token nothing is told and nothing is taken", async () => {
    const { run } = stage.publish();
    await stage.startConductor();
    const tokens = [undefined, "", tokenOf("other"), tokenOf(run).slice(1), `${tokenOf(run)}0`];
    for (const token of tokens) {
      const headers: Record<string, string> = token === undefined ? {} : { [runTokenHeader]: token };
      for (const [method, path] of [
        ["GET", "status"],
        ["GET", "files"],
        ["POST", "workers/0/done"],
      ] as const) {
        const answer = await fetch(`${stage.url}/v1/runs/${run}/${path}`, { method, headers });
        expect(answer.status, `${method} ${path} ${token}`).toBe(401);
      }
    }
    expect((await stage.ask(run, "status")).status).toBe(200);
  });

  test("the token is the one the components derive", () => {
    expect(tokenOf("20261121-101500")).toBe(runToken(runKeyHex, "20261121-101500"));
  });

  test("a run without a ConfigMap is unknown, and known once it has one", async () => {
    await stage.startConductor();
    expect((await stage.ask("later", "status")).status).toBe(404);
    stage.publish({ run: "later" });
    expect((await stage.ask("later", "status")).status).toBe(200);
  });
});

describe("files", () => {
  test("what arrives damaged is refused and not kept", async () => {
    const { run } = stage.publish();
    await stage.startConductor();
    const refused = await put(run, "events.parquet", "abc", digestOf("abd"));
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain(digestOf("abc"));
    expect((await stage.ask(run, "files/workers/0/events.parquet")).status).toBe(404);
    expect((await put(run, "events.parquet", "abc")).status).toBe(201);
    expect((await stage.file(run, "workers/0/events.parquet")).toString()).toBe("abc");
  });

  test("a kept file is never replaced, and a complete run takes no more", async () => {
    const { run } = stage.publish();
    const conductor = await stage.startConductor();
    await join(run, 0);
    expect((await done(run, 0)).status).toBe(409); // nothing is delivered yet
    expect((await put(run, "worker.json", "one")).status).toBe(201);
    expect((await put(run, "worker.json", "one")).status).toBe(201);
    expect((await put(run, "worker.json", "two")).status).toBe(409);
    expect((await done(run, 0)).status).toBe(204);
    await stage.untilComplete(run, conductor);
    expect((await put(run, "worker.json", "one")).status).toBe(201);
    expect((await put(run, "worker.json", "two")).status).toBe(409);
    expect((await put(run, "late.json", "new")).status).toBe(409);
    expect((await stage.file(run, "workers/0/worker.json")).toString()).toBe("one");
  });

  test("paths stay inside the run", async () => {
    const { run } = stage.publish();
    await stage.startConductor();
    for (const name of ["..%2fspec.json", "a%00b", "x.part", "A"]) {
      expect((await put(run, name, "x")).status, name).toBe(400);
    }
    for (const path of ["..%2f..%2fstate.json", "workers/..%2f..%2f..%2frun-key"]) {
      expect([400, 404]).toContain((await stage.ask(run, `files/${path}`)).status);
    }
  });
});

describe("a volume that fills up", () => {
  // Whatever is written to these paths gets the kernel's own "no space left on device".
  const fill = async (run: string, name: string): Promise<void> => {
    const folder = path.join(stage.folder, "data/runs", run, "files/workers/0");
    await mkdir(folder, { recursive: true });
    for (let part = 1; part < 10; part += 1) {
      await symlink("/dev/full", path.join(folder, `${name}.${part}.part`));
    }
  };

  test("a file it has no room for is refused with 507, kept in no part, and the run says why", async () => {
    const { run } = stage.publish();
    await stage.startConductor();
    await fill(run, "events.parquet");
    const refused = await put(run, "events.parquet", "abc");
    expect(refused.status).toBe(507);
    expect(await refused.text()).toMatch(/volume is full.*ENOSPC.*then run again/);
    expect((await stage.ask(run, "files/workers/0/events.parquet")).status).toBe(404);
    expect((await stage.status(run)).problem).toMatch(/volume is full/);
    expect((await put(run, "worker.json", "{}")).status).toBe(201);
  });

  test("a driver whose results find no room ends with exit 4 and the reason, at once", async () => {
    const spec = stage.publish();
    await stage.startConductor();
    await fill(spec.run, "events.parquet");
    const driver = await stage.startDriver(spec);
    expect(await driver.exitCode(), driver.output).toBe(4);
    expect(driver.output).toMatch(/events\.parquet.*507.*volume is full/);
    expect(driver.output).not.toContain("trying again");
  });

  test("a new run takes the place of the oldest complete ones, never of one under way", async () => {
    const keptRun = async (name: string, startAtMs: number, complete: boolean): Promise<void> => {
      const folder = path.join(stage.folder, "data/runs", name);
      await mkdir(path.join(folder, "files"), { recursive: true });
      await writeFile(path.join(folder, "files/spec.json"), JSON.stringify(stage.publish({ run: name })));
      const worker = { pod: "a", node: "b", joinedAtMs: startAtMs, doneAtMs: complete ? startAtMs : null };
      const state = { firstJoinAtMs: startAtMs, startAtMs, workers: [worker], faults: [], complete };
      await writeFile(path.join(folder, "state.json"), JSON.stringify(state));
    };
    for (let age = 0; age < 13; age += 1) {
      await keptRun(`old-${age}`, Date.now() - age * 60_000, true);
    }
    await keptRun("under-way", Date.now() - 30_000, false);
    await mkdir(path.join(stage.folder, "data/runs/foreign"), { recursive: true });
    const data = path.join(stage.folder, "data");
    // No volume has less than nothing free, and every one has less than twice its size.
    const retentionOf = (scarceShare: number) => ({ keep: 11, keepWhenScarce: 12, scarceShare });
    expect(await RunStore.expendable(data, retentionOf(0), "new")).toEqual(["old-12", "old-11"]);
    expect(await RunStore.expendable(data, retentionOf(2), "new")).toEqual(["old-12"]);
    expect(await RunStore.expendable(data, retentionOf(2), "old-12")).toEqual([]);
    const { run } = stage.publish({ run: "new" });
    await stage.startConductor();
    expect((await stage.ask(run, "status")).status).toBe(200);
    const left = await readdir(path.join(stage.folder, "data/runs"));
    const old = left.filter((name) => name.startsWith("old-")).map((name) => Number(name.slice(4)));
    expect([2, 10]).toContain(old.length); // by the room on the machine's own disk
    expect(old.sort((a, b) => a - b)).toEqual(old.map((_, age) => age));
    expect(left).toEqual(expect.arrayContaining(["new", "under-way", "foreign"]));
  });
});

describe("restart", () => {
  test("a conductor killed in mid-run goes on: same start, same faults, driver none the wiser", async () => {
    const spec = stage.publish({
      phases: { warmupMs: 0, measureMs: 5000, cooldownMs: 500 },
      faults: [{ index: 0, kind: "kill", atMs: 3500, target: { ordinal: 2 } }],
    });
    stage.kubernetes.onDeleted = (name) => void stage.kubernetes.create(name, true);
    const first = await stage.startConductor();
    const driver = await stage.startDriver(spec);
    await until(async () => (await stage.status(spec.run)).state === "running" && (await progressOf(spec.run)) > 50);
    const { startAtMs, workers } = await stage.status(spec.run);
    await first.end("SIGKILL");
    await sleep(300);
    const second = await stage.startConductor();
    const after = await stage.status(spec.run);
    expect([after.startAtMs, after.workers[0]?.joinedAtMs]).toEqual([startAtMs, workers[0]?.joinedAtMs]);
    expect(after.state).toBe("running");
    expect(await driver.exitCode(), driver.output).toBe(0);
    const result = await stage.untilComplete(spec.run, second);
    expect(result.faults[0]).toMatchObject({ applied: true, plannedAtMs: (startAtMs ?? 0) + 3500 });
    expect(stage.kubernetes.deletions).toHaveLength(1);
    const { operations } = await stage.workerResult(spec.run);
    expect((operations.put?.succeeded ?? 0) + (operations.get?.succeeded ?? 0)).toBe(1000);
  });

  test("a conductor killed after the act does not kill again", async () => {
    const spec = stage.publish({
      phases: { warmupMs: 0, measureMs: 4000, cooldownMs: 0 },
      faults: [{ index: 0, kind: "kill", atMs: 500, target: { ordinal: 2 } }],
    });
    const first = await stage.startConductor();
    const driver = await stage.startDriver(spec);
    await until(() => stage.kubernetes.deletions.length === 1);
    await first.end("SIGKILL");
    stage.kubernetes.create("kv-2", true);
    const second = await stage.startConductor();
    expect(await driver.exitCode(), driver.output).toBe(0);
    const { faults } = await stage.untilComplete(spec.run, second);
    expect(faults[0]?.applied).toBe(true);
    expect(stage.kubernetes.deletions).toHaveLength(1);
  });

  test("a complete run is still there, unchanged", async () => {
    const { run } = stage.publish();
    const first = await stage.startConductor();
    await join(run, 0);
    await put(run, "worker.json", "one");
    await done(run, 0);
    const result = await stage.untilComplete(run, first);
    await first.end("SIGTERM");
    stage.kubernetes.configMaps.clear(); // the run's objects were replaced meanwhile
    const second = await stage.startConductor();
    expect(await stage.untilComplete(run, second)).toEqual(result);
  });
});

async function progressOf(run: string): Promise<number> {
  return (await stage.status(run)).workers[0]?.progress?.completed ?? 0;
}

test("metrics tell states and progress in the text format", async () => {
  const { run } = stage.publish();
  await stage.startConductor();
  await join(run, 0);
  const body = { phase: "measure", offered: 9, completed: 8, failed: 1, inFlight: 1, ratePerSecond: 4, p99Ms: 250 };
  const answer = await stage.ask(run, "workers/0/progress", { method: "POST", body: JSON.stringify(body) });
  expect(answer.status).toBe(204);
  const text = await (await fetch(`${stage.url}/metrics`)).text();
  expect(text).toContain('orrery_worker_completed_total{run="test-1",worker="0"} 8\n');
  expect(text).toContain('orrery_worker_latency_p99_seconds{run="test-1",worker="0"} 0.25\n');
});
