import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { KubeConfig, RbacAuthorizationV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askThrough } from "../../cli/observed.ts";
import { metricsFileSchema, tracesFileSchema } from "../../schema/observed.ts";
import { orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";

/** Prometheus, collector and Jaeger as they really run, watching a short load without a fault. */
const name = `obs-${process.pid}`;
const namespace = `orrery-${name}`;
const experiment = `schema: orrery/v1
name: ${name}
seed: 3
network: {system: kv, replicas: 3, storage: 64Mi, cpu: 100m, memory: 128Mi}
workload:
  operations: {put: 1, get: 1}
  arrival: {rate: 40/s}
  phases: {warmup: 2s, measure: 30s, cooldown: 2s} # the kubelet looks at a new container within 15 s
  parameters: {keys: 20, valueSize: 64B}
objectives: [{metric: lost_writes, max: 0}]
observe:
  prometheus: true
  traces: {sample: 0.2}
  retention: 1h
  storage: 256Mi
`;

interface Vector {
  readonly data: { readonly result: { readonly metric: Record<string, string>; readonly value: [number, string] }[] };
}

describe.skipIf(!cluster.available)("an observed run on the local cluster", () => {
  let folder: string;
  let file: string;
  let runFolder: string;
  let env: NodeJS.ProcessEnv;
  const config = () => {
    const loaded = new KubeConfig();
    loaded.loadFromFile(cluster.kubeconfig());
    return loaded;
  };

  /** The series of an instant query; asked again until there are some, since scrapes are five seconds apart. */
  async function series(query: string): Promise<Vector["data"]["result"]> {
    for (let attempt = 0; ; attempt += 1) {
      const path = `api/v1/query?${new URLSearchParams({ query })}`;
      const { result } = ((await askThrough(config(), namespace)("prometheus", path)) as Vector).data;
      if (result.length > 0 || attempt === 20) return result;
      await delay(3_000);
    }
  }

  beforeAll(async () => {
    env = cluster.environment();
    folder = await mkdtemp(join(tmpdir(), "orrery-obs-"));
    file = join(folder, "experiment.yaml");
    await writeFile(file, experiment);
    const results = join(folder, "results");
    const outcome = await orrery(["run", file, "--results", results, "--json"], env);
    expect([0, 1, 2], outcome.stderr).toContain(outcome.code);
    expect(outcome.stderr).not.toContain("is not kept");
    const [run] = await readdir(join(results, name));
    runFolder = join(results, name, run ?? "");
  }, 3_600_000); // with an empty cache the collector and Jaeger are compiled first

  afterAll(async () => {
    if (file !== undefined) {
      await orrery(["destroy", file, "--remove"], env);
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("every target is up: the three members, conductor, collector twice, and the kubelet twice", async () => {
    await expect
      .poll(async () => (await series("up == 1")).map(({ metric }) => metric.job).sort(), {
        timeout: 120_000,
        interval: 5_000,
      })
      .toEqual(["collector", "conductor", "containers", "kv", "kv", "kv", "nodes", "telemetry"]);
    expect((await series('up{job="kv"}')).map(({ metric }) => metric.pod).sort()).toEqual(["kv-0", "kv-1", "kv-2"]);
  });

  test("members', drivers', containers' and nodes' metrics have values", async () => {
    for (const query of [
      'sum(orrery_kv_request_seconds_count{operation="put",code="ok"}) > 50',
      "sum(orrery_worker_completed_total) > 200",
      '{job="orrery-driver"}',
      `container_memory_working_set_bytes{namespace="${namespace}",container="kv"} > 0`,
      "node_memory_working_set_bytes > 0",
    ]) {
      expect(await series(query), query).not.toEqual([]);
    }
    const kept = metricsFileSchema.parse(JSON.parse(await readFile(join(runFolder, "metrics.json"), "utf8")));
    const memory = kept.series.filter((one) => one.name === "pod_memory_bytes" && one.points.length > 0);
    expect(memory.map(({ labels }) => labels.pod)).toEqual(expect.arrayContaining(["kv-0", "kv-1", "kv-2"]));
  });

  test("the collector took spans, and Jaeger answers with a trace", async () => {
    const [taken] = await series("sum(otelcol_receiver_accepted_spans_total or otelcol_receiver_accepted_spans) > 0");
    expect(Number(taken?.value[1])).toBeGreaterThan(0);
    const { traces } = tracesFileSchema.parse(JSON.parse(await readFile(join(runFolder, "traces.json"), "utf8")));
    const driver = traces.flatMap(({ spans }) => spans).filter(({ service }) => service === "orrery-driver");
    expect(driver.length).toBeGreaterThan(10);
    expect(new Set(driver.map(({ operation }) => operation))).toEqual(new Set(["put", "get"]));
  });

  test("a trace crosses driver and member: the member's span lies below the driver's", async () => {
    const { traces } = tracesFileSchema.parse(JSON.parse(await readFile(join(runFolder, "traces.json"), "utf8")));
    const crossing = traces.filter(({ spans }) => {
      const client = spans.find(({ service }) => service === "orrery-driver");
      return spans.some(({ service, parent }) => service === "orrery-kv" && parent === client?.id);
    });
    expect(crossing.length).toBeGreaterThan(10);
    const inside = crossing.flatMap(({ spans }) => spans.map(({ operation }) => operation));
    expect(inside).toEqual(expect.arrayContaining(["consensus", "store commit"]));
  });

  test("orrery open serves Prometheus until it is interrupted, and finds the experiment by itself", async () => {
    const child = spawn(process.execPath, [resolve("cli/orrery.js"), "open", "prometheus", "--no-browser", "--json"], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const { url } = JSON.parse(await firstDocument(child)) as { url: string };
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      expect(await (await fetch(`${url}/-/ready`)).text()).toContain("Ready");
      expect(await (await fetch(`${url}/graph`)).text()).toContain("Prometheus");
    } finally {
      const ended = once(child, "exit");
      child.kill("SIGINT");
      expect(await ended).toEqual([0, null]);
    }
  });

  test("a page that is not deployed is bad input that says what to set", async () => {
    const outcome = await orrery(["open", "grafana", name], env);
    expect([outcome.code, outcome.stderr]).toEqual([3, expect.stringContaining("observe.grafana")]);
  });

  test("a second preview shows no change, and destroy leaves nothing that is cluster-wide", async () => {
    const preview = await orrery(["preview", file, "--json"], env);
    expect(JSON.parse(preview.stdout)).toMatchObject({ changes: 0 });
    const outcome = await orrery(["destroy", file], env);
    expect(outcome.code, outcome.stderr).toBe(0);
    const { items } = await config().makeApiClient(RbacAuthorizationV1Api).listClusterRole();
    expect(items.filter(({ metadata }) => metadata?.name?.startsWith(namespace))).toEqual([]);
  });
});

/** What a program writes to its standard output up to the end of the first JSON document. */
async function firstDocument(child: ChildProcess): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.trimEnd().endsWith("}")) return text;
  }
  throw new Error(`it ended before it had said anything: ${text}`);
}
