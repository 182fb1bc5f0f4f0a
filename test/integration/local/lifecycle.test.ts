import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clusterDown, clusterReset, clusterStatus, clusterUp, leftovers } from "../../../local/cluster/index.ts";
import { signal } from "../../../local/cluster/processes.ts";
import { OrreryHome } from "../../../local/toolchain/home.ts";
import { cluster as shared } from "../../support/cluster.ts";
import { create, restrictedNamespace, runScript, startCluster, until } from "./support.ts";

const project = join(import.meta.dirname, "../../..");

describe.skipIf(!shared.available)("life of a local cluster", () => {
  const { cache } = OrreryHome.fromEnvironment();
  let home: OrreryHome;

  beforeAll(async () => {
    home = new OrreryHome({ root: await mkdtemp(join(tmpdir(), "orrery-life-")), cache });
    await home.prepare();
  });

  afterAll(async () => {
    await clusterReset(home);
    await rm(home.root, { recursive: true, force: true });
  });

  test("a first boot and a second up", async () => {
    const first = performance.now();
    expect((await clusterUp(home)).state).toBe("running");
    const bootMs = performance.now() - first;
    const second = performance.now();
    const again = await clusterUp(home);
    const againMs = performance.now() - second;
    process.stderr.write(`boot ${(bootMs / 1000).toFixed(1)} s, second up ${(againMs / 1000).toFixed(2)} s\n`);
    expect(again.state).toBe("running");
    expect(again.components.every(({ state }) => state === "up")).toBe(true);
  });

  test("a second cluster beside it, under the same name", async () => {
    const other = new OrreryHome({ root: await mkdtemp(join(tmpdir(), "orrery-side-")), cache });
    try {
      const [mine, its] = [await clusterStatus(home), await clusterUp(other)];
      expect(its.nodeAddress).not.toBe(mine.nodeAddress);
      const [left, right] = [await startCluster(home), await startCluster(other)];
      await restrictedNamespace(left, "only-here");
      const names = (await right.core.listNamespace()).items.map((item) => item.metadata?.name);
      expect(names).not.toContain("only-here");
      await clusterDown(other);
      expect(await leftovers(other)).toEqual([]);
      expect((await clusterStatus(home)).state).toBe("running");
    } finally {
      await clusterReset(other);
      await rm(other.root, { recursive: true, force: true });
    }
  });

  test("kill -9 of everything, then up: objects, images and volumes are there", async () => {
    const before = await startCluster(home);
    await restrictedNamespace(before, "kept");
    await create(before, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "data", namespace: "kept" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "16Mi" } } },
    });
    const write = 'require("node:fs").writeFileSync("/data/kept", "before")';
    await runScript(before, { name: "writer", namespace: "kept", script: write, claim: "data" });
    for (const { kind, what } of await leftovers(home)) {
      if (kind === "process") signal(Number(what.split(" ")[0]), "SIGKILL");
    }
    await until("all processes are gone", async () => (await leftovers(home)).every(({ kind }) => kind !== "process"));
    expect((await clusterStatus(home)).state).toBe("stopped");

    expect((await clusterUp(home)).state).toBe("running");
    const after = await startCluster(home);
    expect((await after.core.readNamespace({ name: "kept" })).metadata?.name).toBe("kept");
    const read = 'console.log(require("node:fs").readFileSync("/data/kept", "utf8"))';
    expect(await runScript(after, { name: "reader", namespace: "kept", script: read, claim: "data" })).toBe("before");
  });

  test("down leaves nothing, and the data stays", async () => {
    expect(await leftovers(home)).not.toEqual([]); // what down has to clear is seen at all
    expect((await clusterDown(home)).state).toBe("stopped");
    expect(await leftovers(home)).toEqual([]);
    await clusterUp(home);
    const cluster = await startCluster(home);
    expect((await cluster.core.readNamespace({ name: "kept" })).metadata?.name).toBe("kept");
  });

  test("an up that is killed half-way leaves nothing after down, and the next up works", async () => {
    const crashed = new OrreryHome({ root: await mkdtemp(join(tmpdir(), "orrery-crash-")), cache });
    try {
      const script = `
        const { clusterUp } = await import("./local/cluster/index.ts");
        const { OrreryHome } = await import("./local/toolchain/home.ts");
        await clusterUp(new OrreryHome({ root: process.argv[1], cache: process.argv[2] }));
      `;
      const args = ["--input-type=module", "-e", script, crashed.root, cache];
      const child = spawn(process.execPath, args, { cwd: project, stdio: "ignore" });
      const log = join(crashed.clusters, "local", "logs", "kube-apiserver", "current");
      await until("the API server starts", async () => (await readFile(log, "utf8").catch(() => "")) !== "");
      child.kill("SIGKILL");
      expect(await leftovers(crashed)).not.toEqual([]);
      await clusterDown(crashed);
      expect(await leftovers(crashed)).toEqual([]);
      expect((await clusterUp(crashed)).state).toBe("running");
    } finally {
      await clusterReset(crashed);
      await rm(crashed.root, { recursive: true, force: true });
    }
  });
});
