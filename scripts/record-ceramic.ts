import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { CoreV1Api, KubeConfig, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { readEvents } from "../analysis/events.ts";
import type { WorkerData } from "../analysis/read.ts";
import { replicationOf } from "../analysis/replication.ts";
import { replicationMetrics } from "../analysis/replication-summary.ts";
import { readReplication } from "../analysis/replication-table.ts";
import { writeMetrics, writesOf } from "../analysis/writes.ts";
import { findInit } from "../local/cluster/init.ts";
import { clusterPaths } from "../local/cluster/paths.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import type { RunSpec } from "../schema/run.ts";
import { connect } from "../workloads/ceramic/connector.ts";
import { systemClock } from "../workloads/core/clock.ts";
import type { Connector } from "../workloads/core/connector.ts";
import { EventLog } from "../workloads/core/events.ts";
import { Load } from "../workloads/core/load.ts";
import { ReplicationWatch } from "../workloads/core/replication.ts";

/**
 * Records what a slowed and a killed peer do to the figures of a Ceramic network on the local cluster of this
 * ORRERY_HOME, which has to be up. One network is deployed; short windows follow in turn, undisturbed twice, with a peer's
 * CPU limited, and with a peer killed, each peer being the victim in turn. They go into `<folder>/arms.json`, to which a
 * further call adds; no round begins after so many minutes. The load is the driver's own, in this process, which enters the cluster's network: with a Job and a
 * conductor a window takes a minute. Nothing is asserted; test/unit/compare/ceramic.test.ts does, on what was recorded.
 *
 *     node scripts/record-ceramic.ts 15 /tmp/arms && npx orrery destroy /tmp/arms/network.yaml --remove
 */
const [minutes = "", folderText = "", place = "outside"] = process.argv.slice(2);
const endMs = performance.now() + Number(minutes) * 60_000;
if (!(Number(minutes) > 0) || folderText === "") {
  throw new Error("give a number of minutes and a folder for what is recorded");
}
const folder = resolve(folderText);
const recordFile = join(folder, "arms.json");
const arms = ["first", "second", "slowed", "killed"] as const;
type Arm = (typeof arms)[number];

const peers = 3;
const name = "ceramic-arms";
const namespace = `orrery-${name}`;
const operations = { create: 1, update: 2 };
const ratePerSecond = 4;
const measureMs = 6_000;
/** Of a write, and of its showing everywhere. */
const deadlineMs = 8_000;
/** The victim is killed so long after the window began. */
const killAfterMs = 1_000;
/** What a slowed js-ceramic gets; it may use a whole one otherwise. */
const slowCpu = "20m";
/** Before a window its feeds are opened; a peer that is new takes longer to be heard of by the others. */
const [feedsMs, joinMs] = [1_500, 10_000];
const settledLimitMs = 300_000;
const podOf = (ordinal: number): string => `ceramic-0-${ordinal}`;

interface Round {
  readonly spec: RunSpec;
  readonly connector: Connector;
}

interface Recorded {
  readonly conditions: Record<string, string>;
  readonly arms: Record<Arm, Record<string, number>[]>;
}

/** Deploys the network, and goes on inside of the cluster's network. */
async function outside(): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, "network.yaml");
  const experiment = {
    schema: "orrery/v1",
    name,
    network: {
      system: "ceramic",
      replicas: peers,
      bootstrap: { method: "ring", n: 1 },
      groups: [
        {
          storage: "256Mi",
          resources: { cpu: "50m", cpuLimit: "1" },
          ipfs: { kind: "go", storage: "256Mi", resources: { cpu: "50m" } },
        },
      ],
    },
    workload: { operations, arrival: { rate: `${ratePerSecond}/s` }, phases: { measure: "10s" } },
  };
  await writeFile(file, `${JSON.stringify(experiment, null, 2)}\n`);
  const cli = fileURLToPath(new URL("../cli/orrery.js", import.meta.url));
  run(process.execPath, [cli, "up", file]);
  const { init } = await findInit(clusterPaths(OrreryHome.fromEnvironment()));
  if (init === undefined) throw new Error("the cluster is gone");
  const self = [process.execPath, fileURLToPath(import.meta.url), minutes, folder, "inside"];
  run("nsenter", ["--target", String(init.pid), "--net", "--", ...self]);
}

function run(program: string, args: readonly string[]): void {
  const { status } = spawnSync(program, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: exit code ${status}`);
}

function kubernetes(): CoreV1Api {
  const config = new KubeConfig();
  config.loadFromFile(join(OrreryHome.fromEnvironment().clusters, "local", "kubeconfig"));
  return config.makeApiClient(CoreV1Api);
}

/** CPU that a peer's js-ceramic asks for and may use. */
interface Cpu {
  readonly requests: { readonly cpu: string };
  readonly limits: { readonly cpu: string };
}

async function cpuOf(pod: string): Promise<Cpu> {
  const { status } = await kubernetes().readNamespacedPod({ name: pod, namespace });
  const { resources } = status?.containerStatuses?.find((container) => container.name === "ceramic") ?? {};
  return { requests: { cpu: resources?.requests?.cpu ?? "" }, limits: { cpu: resources?.limits?.cpu ?? "" } };
}

/** Sets it while the peer runs (the pod's `resize` subresource), and waits until it holds. */
async function setCpu(pod: string, resources: Cpu): Promise<void> {
  const body = { spec: { containers: [{ name: "ceramic", resources }] } };
  await kubernetes().patchNamespacedPodResize(
    { name: pod, namespace, body },
    setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
  );
  const untilMs = Date.now() + settledLimitMs;
  while (!isDeepStrictEqual(await cpuOf(pod), resources)) {
    if (Date.now() > untilMs) throw new Error(`${pod} did not come to have ${JSON.stringify(resources)}`);
    await sleep(200);
  }
}

/** Waits until every peer answers and is connected to all others; their URLs. */
async function settled(): Promise<string[]> {
  const untilMs = Date.now() + settledLimitMs;
  for (;;) {
    const { items } = await kubernetes().listNamespacedPod({ namespace, labelSelector: "orrery.dev/group=ceramic-0" });
    const hosts = Array.from({ length: peers }, (_, ordinal) => {
      const pod = items.find(({ metadata }) => metadata?.name === podOf(ordinal));
      return pod?.metadata?.deletionTimestamp === undefined ? pod?.status?.podIP : undefined;
    });
    const whole = await Promise.all(hosts.map((host) => host !== undefined && isWhole(host)));
    if (whole.every(Boolean)) return hosts.map((host) => `http://${host}:7007`);
    if (Date.now() > untilMs) throw new Error("the peers did not come together again");
    await sleep(1_000);
  }
}

async function isWhole(host: string): Promise<boolean> {
  const limited = { signal: AbortSignal.timeout(5_000) };
  try {
    const health = await fetch(`http://${host}:7007/api/v0/node/healthcheck`, limited);
    const swarm = await fetch(`http://${host}:5101/api/v0/swarm/peers`, { method: "POST", ...limited });
    const { Peers } = (await swarm.json()) as { readonly Peers: readonly unknown[] | null };
    return health.ok && Peers?.length === peers - 1;
  } catch {
    return false; // asked again
  }
}

/** Does to the victim what the arm says, from the start of the window on; resolves when that is undone. */
async function disturb(arm: Arm, pod: string, stop: AbortSignal): Promise<void> {
  const pause = (ms: number): Promise<unknown> => sleep(ms, undefined, { signal: stop }).catch(() => undefined);
  if (arm === "slowed") {
    const usual = await cpuOf(pod);
    await setCpu(pod, { requests: { cpu: slowCpu }, limits: { cpu: slowCpu } });
    await pause(settledLimitMs);
    await setCpu(pod, usual);
  }
  if (arm === "killed") {
    await pause(killAfterMs);
    await kubernetes().deleteNamespacedPod({ name: pod, namespace, gracePeriodSeconds: 0 });
  }
}

function specOf(id: string, urls: readonly string[]): RunSpec {
  return {
    run: id,
    seed: 7,
    workers: 1,
    operations,
    arrival: { kind: "open", ratePerSecond, process: "uniform" },
    phases: { warmupMs: 0, measureMs, cooldownMs: 0 },
    timeoutMs: deadlineMs,
    parameters: { authors: 9, shapes: ["small"] },
    endpoints: urls.map((url, ordinal) => ({ group: "ceramic-0", ordinal, pod: podOf(ordinal), url })),
    replication: { deadlineMs },
  } as unknown as RunSpec;
}

/** One window of load from authors that are there already; `seed` says what they write. */
async function recordWindow(
  { spec, connector }: Round,
  { arm, victim, seed }: { readonly arm: Arm; readonly victim: string; readonly seed: number },
): Promise<Record<string, number>> {
  const over = new AbortController();
  const events = new EventLog(0);
  const plan = { endpoints: spec.endpoints, timeoutMs: spec.timeoutMs, worker: 0, deadlineMs };
  const observe = connector.observe?.bind(connector) ?? (() => Promise.resolve());
  const watch = new ReplicationWatch(plan, observe, systemClock, over.signal);
  await sleep(feedsMs);
  const startUs = Math.ceil(systemClock.nowUs());
  const disturbed = disturb(arm, victim, over.signal);
  const ignored = (): void => undefined;
  const load = new Load(
    { spec: { ...spec, seed }, worker: 0, startUs, endUs: startUs + measureMs * 1000 },
    connector.operations,
    systemClock,
    {
      offered: ignored,
      sent: ignored,
      dropped: ignored,
      completed: (done) => {
        events.add(done, true, done.outcome.ok ? "ok" : (done.outcome.code ?? "failed"));
        watch.completed(done, true);
      },
    },
  );
  try {
    await load.run();
    await watch.settled(over.signal);
    const replication = await watch.stop();
    return await metricsOf(spec, events, watch, replication);
  } finally {
    over.abort();
    await disturbed;
  }
}

/** Of a window, as the analysis makes them of a run's files. */
async function metricsOf(
  spec: RunSpec,
  events: EventLog,
  watch: ReplicationWatch,
  replication: Awaited<ReturnType<ReplicationWatch["stop"]>>,
): Promise<Record<string, number>> {
  const files = await mkdtemp(join(tmpdir(), "orrery-record-"));
  try {
    await events.write(join(files, "events.parquet"));
    await watch.write(join(files, "replication.parquet"));
    const ordinals = spec.endpoints.map(({ ordinal }) => ordinal);
    const worker = {
      index: 0,
      result: { replication, health: { eventLoopDelayMs: { p50: 0, p99: 0, max: 0 } } },
      events: await readEvents(join(files, "events.parquet"), 0),
      replication: await readReplication(join(files, "replication.parquet"), 0, ordinals),
    } as unknown as WorkerData;
    const writes = writesOf(spec, [worker], Object.keys(operations));
    const metrics = { ...writeMetrics(writes), ...replicationMetrics(replicationOf(spec, [worker]), writes) };
    return Object.fromEntries(Object.entries(metrics).map(([metric, value]) => [metric, Number(value.toPrecision(6))]));
  } finally {
    await rm(files, { recursive: true, force: true });
  }
}

async function inside(): Promise<void> {
  const recorded = existsSync(recordFile) ? (JSON.parse(await readFile(recordFile, "utf8")) as Recorded) : fresh();
  const credentials = await mkdtemp(join(tmpdir(), "orrery-record-"));
  const { data } = await kubernetes().readNamespacedSecret({ name: "ceramic-admin", namespace });
  try {
    const seed = Buffer.from(data?.["admin-seed"] ?? "", "base64");
    await writeFile(join(credentials, "admin-seed"), seed, { mode: 0o600 });
    while (performance.now() < endMs) {
      await recordRound(recorded, credentials);
    }
  } finally {
    await rm(credentials, { recursive: true, force: true });
  }
}

/** A window of each arm, on the same authors; all are kept or none. The killed peer comes last: it moves. */
async function recordRound(recorded: Recorded, credentials: string): Promise<void> {
  await settled();
  await sleep(joinMs);
  const spec = specOf(`round-${Date.now()}`, await settled());
  const connector = await connect(spec, { worker: 0, credentials });
  try {
    const round: Partial<Record<Arm, Record<string, number>>> = {};
    const before = recorded.arms.first.length;
    const victim = podOf(before % peers);
    for (const arm of arms) {
      const seed = before * arms.length + arms.indexOf(arm);
      const metrics = await recordWindow({ spec, connector }, { arm, victim, seed });
      const { "writes.persisted_ratio": c1, replicated_ratio: c2, "writes.balance": balance } = metrics;
      process.stderr.write(`${arm} ${before + 1}, ${victim}: C1 ${c1}, C2 ${c2}, balance ${balance}\n`);
      round[arm] = metrics;
    }
    if ([round.first, round.second].some((metrics) => metrics?.replicated_ratio === undefined)) {
      process.stderr.write("left out: an undisturbed window had no acknowledged write, so the machine was too busy\n");
      return;
    }
    for (const arm of arms) recorded.arms[arm].push(round[arm] ?? {});
    recorded.conditions.last = `${new Date().toISOString()}, load average ${loadavg()[0]?.toFixed(0)}, with other work on the machine`;
    await writeFile(recordFile, `${JSON.stringify(recorded, null, 2)}\n`);
  } finally {
    await connector.close();
  }
}

const fresh = (): Recorded => ({
  conditions: {
    what: `js-ceramic 6.11.0 over kubo 0.39.0, ${peers} peers of one network on the local cluster, inmemory, open arrival ${ratePerSecond}/s, create 1 to update 2, 9 authors, time-out and deadline ${deadlineMs / 1000} s, one worker, windows of ${measureMs / 1000} s in turn; slowed: js-ceramic of one peer limited to ${slowCpu} CPU; killed: the pod of one peer deleted without grace ${killAfterMs / 1000} s into the window`,
    where: `${cpus().length} cores, kernel ${release()}, Node ${process.versions.node}`,
    first: new Date().toISOString(),
  },
  arms: { first: [], second: [], slowed: [], killed: [] },
});

await (place === "inside" ? inside() : outside());
