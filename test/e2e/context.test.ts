import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { imagesOf } from "../../components/images.ts";
import { imageReferences } from "../../images/build.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { loadExperiment } from "../../schema/load.ts";
import { orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";

/** The path of any existing cluster, on the real local one under another name: nothing may lead it back to "local". */
const name = `context-${process.pid}`;
const context = "other-name";
const experiment = (cpu: string) => `schema: orrery/v1
name: ${name}
network: {system: kv, replicas: 3, storage: 64Mi, cpu: ${cpu}, memory: 128Mi}
workload:
  operations: {put: 1}
  arrival: {users: 2}
  phases: {warmup: 1s, measure: 2s}
`;

describe.skipIf(!cluster.available)("a kubeconfig context", () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;
  let images: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "orrery-context-"));
    const kubeconfig = await readFile(cluster.kubeconfig(), "utf8");
    const renamed = kubeconfig.replaceAll('"orrery-local"', `"${context}"`);
    expect(renamed).not.toBe(kubeconfig);
    await writeFile(join(folder, "kubeconfig"), renamed);
    env = { ...cluster.environment(), KUBECONFIG: join(folder, "kubeconfig") };
    // The images come into the cluster by the local target, as a registry would bring them elsewhere.
    const file = await written("100m");
    const local = await orrery(["up", file], env);
    expect(local.code, local.stderr).toBe(0);
    const destroyed = await orrery(["destroy", file, "--remove"], env);
    expect(destroyed.code, destroyed.stderr).toBe(0);
    const home = new OrreryHome({ root: cluster.home(), cache: env.ORRERY_CACHE ?? "" });
    const references = await imageReferences(home, imagesOf((await loadExperiment(file)).experiment, false));
    images = [...references].flatMap(([image, reference]) => ["--image", `${image}=${reference}`]);
  });

  afterAll(async () => {
    if (folder === undefined) return;
    await orrery(["destroy", join(folder, "experiment.yaml"), "--context", context, "--remove"], env);
    await rm(folder, { recursive: true, force: true });
  });

  const written = async (cpu: string) => {
    const file = join(folder, "experiment.yaml");
    await writeFile(file, experiment(cpu));
    return file;
  };
  const namespaces = async () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig());
    const { items } = await config.makeApiClient(CoreV1Api).listNamespace();
    return items.map((item) => item.metadata?.name);
  };

  test("what does not fit is refused before anything is made, with the reason", async () => {
    const outcome = await orrery(["up", await written('"64"'), "--context", context, ...images], env);
    expect(outcome.stderr).toMatch(/does not fit into the cluster of context "other-name".*room: .*StatefulSet kv/s);
    expect(outcome.code).toBe(3);
    expect(await namespaces()).not.toContain(`orrery-${name}`);
  });

  test("doctor reads what the cluster has left", async () => {
    const outcome = await orrery(["doctor", await written("100m"), "--context", context, "--json"], env);
    const checks = JSON.parse(outcome.stdout) as { readonly name: string; readonly status: string }[];
    const failed = checks.filter((check) => check.status === "fail");
    expect(failed, outcome.stdout).toEqual([]);
    expect(checks.map((check) => check.name)).toEqual(expect.arrayContaining(["cluster", "room", "storage", "APIs"]));
  });

  test("up, a preview without change, and destroy", async () => {
    const file = await written("100m");
    const up = await orrery(["up", file, "--context", context, ...images], env);
    expect(up.code, up.stderr).toBe(0);
    expect(await namespaces()).toContain(`orrery-${name}`);
    const preview = await orrery(["preview", file, "--context", context, "--json"], env);
    expect(JSON.parse(preview.stdout)).toMatchObject({ cluster: true, stack: `${name}-context`, changes: 0 });
    const destroyed = await orrery(["destroy", file, "--context", context, "--remove"], env);
    expect(destroyed.code, destroyed.stderr).toBe(0);
    expect(await namespaces()).not.toContain(`orrery-${name}`);
  });

  test("a context that is not there is one clear error", async () => {
    const outcome = await orrery(["up", await written("100m"), "--context", "nowhere", ...images], env);
    expect(outcome.stderr).toMatch(/has no context "nowhere".*other-name/s);
    expect(outcome.code).toBe(3);
  });
});
