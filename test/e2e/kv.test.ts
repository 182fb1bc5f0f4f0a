import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Summary, summarySchema } from "../../schema/summary.ts";
import { execute, orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";

/** The whole path on a real cluster: deploy, load, kill the leader, judge, preview, destroy. */
const name = `e2e-${process.pid}`;
const experiment = `schema: orrery/v1
name: ${name}
seed: 11
network: {system: kv, replicas: 3, storage: 64Mi, cpu: 100m, memory: 128Mi}
workload:
  operations: {put: 3, get: 6, delete: 1}
  arrival: {rate: 100/s}
  phases: {warmup: 2s, measure: 16s, cooldown: 2s}
  workers: 2
  parameters: {keys: 50, valueSize: 64B}
faults:
  - {at: 5s, kind: kill, target: {role: leader}}
observe: {replication: {deadline: 120s}}
objectives:
  - {metric: lost_writes, max: 0}
  - {metric: persisted_ratio, min: 1}
  - {metric: replicated_ratio, min: 1}
  - {metric: success_ratio, min: 0.95}
  - {metric: failover, max: 15s}
`;

describe.skipIf(!cluster.available)("kv on the local cluster", () => {
  let folder: string;
  let file: string;
  let env: NodeJS.ProcessEnv;
  let summary: Summary;
  let runFolder: string;
  const api = () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig());
    return config.makeApiClient(CoreV1Api);
  };

  beforeAll(async () => {
    env = cluster.environment();
    folder = await mkdtemp(join(tmpdir(), "orrery-e2e-"));
    file = join(folder, "experiment.yaml");
    await writeFile(file, experiment);
    const results = join(folder, "results");
    const outcome = await orrery(["run", file, "--results", results, "--json"], env);
    expect(outcome.stderr).not.toMatch(/orrery: /);
    const [run] = await readdir(join(results, name));
    runFolder = join(results, name, run ?? "");
    summary = summarySchema.parse(JSON.parse(outcome.stdout));
    expect(outcome.code, outcome.stderr).toBe({ pass: 0, fail: 1, invalid: 2 }[summary.verdict]);
  });

  afterAll(async () => {
    if (file !== undefined) {
      await orrery(["destroy", file, "--remove"], env);
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("the run is valid and passes", () => {
    expect(summary.reasons).toEqual([]);
    expect(summary.objectives.filter((objective) => !objective.met)).toEqual([]);
    expect(summary.verdict).toBe("pass");
  });

  test("no acknowledged write is lost, and every key was read back", () => {
    expect(summary.durability).toMatchObject({ lost: 0, keys_unread: 0 });
    expect(summary.durability?.acknowledged).toBeGreaterThan(100);
    expect(summary.durability?.keys_checked).toBeGreaterThan(50);
  });

  test("every acknowledged write showed at every member in the end, the killed one included, and when is known", () => {
    const { replication, nodes = [], operations } = summary;
    const good = (name: string): number => (operations[name]?.count ?? 0) - (operations[name]?.errors ?? 0);
    expect(replication).toMatchObject({ persisted_ratio: 1, replicated_ratio: 1, unknown: 0, majority: 2 });
    expect(replication?.events).toBe(good("put") + good("delete"));
    expect(nodes.map((node) => node.ordinal)).toEqual([0, 1, 2]);
    for (const { replication_ms: times, accepted } of nodes) {
      expect(accepted).toBeGreaterThan(0);
      expect(times.max).toBeGreaterThanOrEqual(times.p50 ?? Number.NaN);
    }
    // What was written while the killed member was away, it shows only after its return.
    const [fault] = summary.faults;
    const killed = nodes.find((node) => node.pod === fault?.members[0]?.pod);
    expect(killed?.replication_ms.max).toBeGreaterThan(0);
  });

  test("the leader was killed, proved, and another took over", () => {
    const [fault] = summary.faults;
    expect(fault).toMatchObject({ kind: "kill", applied: true });
    expect(fault?.leaderBefore).toBe(fault?.members[0]?.pod);
    expect(fault?.members[0]?.crashed).toBe(true);
    expect(fault?.members[0]?.replacementUid).not.toBe(fault?.members[0]?.uid);
    expect(fault?.leaderAfter).not.toBeNull();
    expect(fault?.failover_ms ?? Number.NaN).toBeGreaterThan(0);
  });

  test("the results say where and with what they were made", async () => {
    expect(summary.environment).toMatchObject({
      target: "local",
      kubernetesPlugin: expect.stringMatching(/official|orrery/),
    });
    expect(summary.environment?.images.map((image) => image.name).sort()).toEqual(
      ["conductor", "driver", "driver", "kv"].filter((image, index, all) => all.indexOf(image) === index),
    );
    const files = (await readdir(runFolder, { recursive: true })).sort();
    expect(files).toEqual(
      expect.arrayContaining([
        "conductor.json",
        "environment.json",
        "experiment.yaml",
        "report.html",
        "spec.json",
        "summary.json",
        "workers/0/events.parquet",
        "workers/0/replication.parquet",
        "workers/1/worker.json",
      ]),
    );
    expect(await readFile(join(runFolder, "report.html"), "utf8")).toContain(name);
  });

  test("another reader finds in the event logs what the summary says", async () => {
    const query = "SELECT operation, count(*) AS answered FROM events WHERE phase = 'measure' GROUP BY ALL";
    const folders = ["--results", join(folder, "results")];
    const outcome = await orrery(["sql", `${name}/${basename(runFolder)}`, query, ...folders, "--json"], env);
    expect(outcome.code, outcome.stderr).toBe(0);
    const rows = JSON.parse(outcome.stdout) as { readonly operation: string; readonly answered: number }[];
    const counts = Object.entries(summary.operations).map(([operation, { count }]) => [operation, count]);
    expect(Object.fromEntries(rows.map(({ operation, answered }) => [operation, Number(answered)]))).toEqual(
      Object.fromEntries(counts),
    );
  });

  test("a second preview shows no change, with orrery and with plain pulumi", async () => {
    const preview = await orrery(["preview", file, "--json"], env);
    expect(JSON.parse(preview.stdout)).toMatchObject({ cluster: true, changes: 0 });
    const variables = await orrery(["env", "--json"], env);
    const plain = await execute(
      "pulumi",
      ["preview", "--stack", `${name}-local`, "--expect-no-changes", "--non-interactive"],
      {
        env: { ...env, ...(JSON.parse(variables.stdout) as NodeJS.ProcessEnv) },
      },
    );
    expect(plain.code, plain.stdout + plain.stderr).toBe(0);
  });

  test("no private key is in the state file or in a pod's environment", async () => {
    const state = await readFile(
      join(env.ORRERY_HOME ?? "", "state", ".pulumi", "stacks", "orrery", `${name}-local.json`),
      "utf8",
    );
    const pods = await api().listNamespacedPod({ namespace: `orrery-${name}` });
    const secrets = await api().listNamespacedSecret({ namespace: `orrery-${name}` });
    const values = secrets.items.flatMap((secret) => Object.values(secret.data ?? {}));
    expect(values.length).toBeGreaterThanOrEqual(3);
    for (const value of values) {
      const plain = Buffer.from(value, "base64").toString();
      expect(state.includes(value) || state.includes(plain)).toBe(false);
      expect(JSON.stringify(pods.items.map((pod) => pod.spec)).includes(plain)).toBe(false);
    }
  });

  test("destroy leaves nothing", async () => {
    const outcome = await orrery(["destroy", file], env);
    expect(outcome.code, outcome.stderr).toBe(0);
    const namespaces = await api().listNamespace();
    expect(namespaces.items.map((item) => item.metadata?.name)).not.toContain(`orrery-${name}`);
    const volumes = await api().listPersistentVolume();
    expect(volumes.items.filter((volume) => volume.spec?.claimRef?.namespace === `orrery-${name}`)).toEqual([]);
  });
});
