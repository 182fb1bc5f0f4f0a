import { spawn } from "node:child_process";
import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { execute, orrery } from "../support/cli.ts";
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

  const network = "{system: kv, replicas: 3, storage: 64Mi, cpu: 100m, memory: 128Mi}";

  /** Starts `orrery up` in a process group of its own and answers once its namespace is there. */
  const deploying = async (file: string) => {
    const child = spawn(process.execPath, [resolve("cli/orrery.js"), "up", file], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    });
    const output = { stderr: "" };
    child.stderr.on("data", (chunk: Buffer) => {
      output.stderr += chunk.toString();
    });
    const ended = new Promise<number | null>((done) => child.on("close", done));
    while (child.exitCode === null && !(await namespaces()).includes(`orrery-${name}`)) {
      await delay(50);
    }
    return { child, ended, output };
  };

  test("an interrupt in mid-deployment ends with 130 and leaves a stack that destroy cleans", async () => {
    const file = await written(network);
    const { child, ended, output } = await deploying(file);
    child.kill("SIGINT");
    expect(await ended, output.stderr).toBe(130);
    expect(output.stderr).toMatch(/interrupted; `orrery destroy`/);

    const destroyed = await orrery(["destroy", file, "--remove"], env);
    expect(destroyed.code, destroyed.stderr).toBe(0);
    expect(await namespaces()).not.toContain(`orrery-${name}`);
  });

  test("what a killed command left half-made is finished by the next one, and refused to another checkout", async () => {
    const file = await written(network);
    const { child, ended, output } = await deploying(file);
    expect(child.exitCode, output.stderr).toBeNull();
    process.kill(-(child.pid ?? Number.NaN), "SIGKILL");
    await ended;

    const again = await orrery(["up", file], env);
    expect(again.code, again.stderr).toBe(0);
    expect(again.stderr).toMatch(/was left locked by a command that ended early/);

    const elsewhere = await checkout(join(folder, "checkout"));
    const refused = await execute(process.execPath, [join(elsewhere, "cli", "orrery.js"), "up", file], { env });
    expect(refused.code, refused.stderr).toBe(3);
    expect(refused.stderr).toMatch(/is deployed, and its settings, .*, are not here/);

    const destroyed = await orrery(["destroy", file, "--remove"], env);
    expect(destroyed.code, destroyed.stderr).toBe(0);
    expect(await namespaces()).not.toContain(`orrery-${name}`);
  });
});

/** The project's own files in another folder, as a second clone has them, with this one's packages. */
async function checkout(folder: string): Promise<string> {
  const { stdout } = await execute("git", ["ls-files", "-z"]);
  for (const path of stdout.split("\0").filter((name) => name !== "")) {
    await cp(path, join(folder, path));
  }
  await symlink(resolve("node_modules"), join(folder, "node_modules"));
  return folder;
}
