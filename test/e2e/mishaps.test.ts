import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";

/** What must not happen when something goes wrong: half-made things that nothing cleans, or no clear word. */
const name = `mishap-${process.pid}`;
const experiment = (network: string) => `schema: orrery/v1
name: ${name}
network: ${network}
workload:
  operations: {put: 1}
  arrival: {users: 2}
  phases: {warmup: 1s, measure: 2s}
`;

describe.skipIf(!cluster.available)("mishaps on the local cluster", () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    env = cluster.environment();
    folder = await mkdtemp(join(tmpdir(), "orrery-mishap-"));
  });
  afterAll(async () => {
    if (folder !== undefined) {
      await rm(folder, { recursive: true, force: true });
    }
  });

  const namespaces = async () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig());
    const { items } = await config.makeApiClient(CoreV1Api).listNamespace();
    return items.map((item) => item.metadata?.name);
  };
  const written = async (network: string) => {
    const file = join(folder, "experiment.yaml");
    await writeFile(file, experiment(network));
    return file;
  };

  test("an image that is not there is said before anything is made", async () => {
    const file = await written("{system: kv, image: 'registry.example/kv:none'}");
    const outcome = await orrery(["run", file], env);
    expect(outcome.stderr).toMatch(/image registry\.example\/kv:none \(network section\) is not in the local cluster/);
    expect(outcome.code).toBe(3);
    expect(await namespaces()).not.toContain(`orrery-${name}`);
  });

  test("an interrupt in mid-deployment ends with 130 and leaves a stack that destroy cleans", async () => {
    const file = await written("{system: kv, replicas: 3, storage: 64Mi, cpu: 100m, memory: 128Mi}");
    const child = spawn(process.execPath, [resolve("cli/orrery.js"), "up", file], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const ended = new Promise<number | null>((done) => child.on("close", done));
    while (child.exitCode === null && !(await namespaces()).includes(`orrery-${name}`)) {
      await delay(50);
    }
    child.kill("SIGINT");
    expect(await ended, stderr).toBe(130);
    expect(stderr).toMatch(/interrupted; `orrery destroy`/);

    const destroyed = await orrery(["destroy", file, "--remove"], env);
    expect(destroyed.code, destroyed.stderr).toBe(0);
    expect(await namespaces()).not.toContain(`orrery-${name}`);
  });
});
