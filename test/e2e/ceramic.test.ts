import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type Summary, summarySchema } from "../../schema/summary.ts";
import { ceramicScenarios } from "../../schema/systems/ceramic-workload.ts";
import { orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";
import { askPod } from "../support/pod-proxy.ts";

/** A real Ceramic network on a real cluster: a run, a peer that goes and returns, a peer more and one less. */
const name = `e2e-c-${process.pid}`;
const usual = {
  operations: { create: 1, update: 1, read: 1 },
  arrival: { users: 2, thinkTime: "300ms" },
  phases: { warmup: "2s", measure: "10s", cooldown: "5s" },
  timeout: "30s",
  parameters: { authors: 2 },
};
const experiment = (replicas: number, rest = "", workload: object = usual): string => `schema: orrery/v1
name: ${name}
seed: 11
network:
  system: ceramic
  replicas: ${replicas}
  bootstrap: {method: ring, n: 1}
  groups: [{storage: 256Mi, ipfs: {kind: go, storage: 256Mi}}]
workload: ${JSON.stringify(workload)}
${rest}`;
/** A replacement has its volumes, its image and its start to wait for. */
const patience = { timeout: 300_000, interval: 3_000 };
/** Streams are asked for that many at most: each is a request through the API server. */
const mostStreams = 12;
const replicated = `observe: {replication: {deadline: 60s}}
objectives:
  - {metric: persisted_ratio, min: 1}
  - {metric: replicated_ratio, min: 1}
`;
/** One of Keramik's scenarios as a short window: what users do is its own, how long is not. */
const windowOf = (scenario: "ceramic-simple" | "ceramic-write-only" | "ceramic-new-streams-benchmark"): object => {
  const { operations, parameters } = ceramicScenarios[scenario];
  const workers = "lead" in ceramicScenarios[scenario] ? 1 : 2;
  return {
    ...usual,
    operations,
    workers,
    arrival: { ...usual.arrival, users: workers },
    parameters: { ...parameters, authors: 1 },
  };
};
const killed = `faults:
  - {at: 2s, kind: kill, target: {ordinal: 1}}
`;
const statusSchema = z.object({
  ready: z.number(),
  members: z.array(
    z.object({
      pod: z.string(),
      ready: z.boolean(),
      connections: z.number().nullable(),
      attributes: z.record(z.string(), z.string()),
    }),
  ),
});

const peersSchema = z.object({ Peers: z.array(z.object({ Peer: z.string() })).nullable() });
const streamSchema = z.object({
  state: z.object({ content: z.unknown(), next: z.object({ content: z.unknown() }).optional() }),
});

describe.skipIf(!cluster.available)("ceramic on the local cluster", () => {
  let folder: string;
  let file: string;
  let env: NodeJS.ProcessEnv;
  let summary: Summary;
  let run: string;
  /** Commits that drivers got an answer for, as ids under which a peer gives the stream's content at that commit. */
  let commits: readonly string[];
  const namespace = `orrery-${name}`;
  const group = "ceramic-0";
  const api = () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig());
    return config.makeApiClient(CoreV1Api);
  };
  const runOf = async (text: string): Promise<Summary> => {
    await writeFile(file, text);
    const outcome = await orrery(["run", file, "--results", join(folder, "results"), "--json"], env);
    expect(outcome.stderr).not.toMatch(/orrery: /);
    return summarySchema.parse(JSON.parse(outcome.stdout));
  };
  const up = async (replicas: number) => {
    await writeFile(file, experiment(replicas));
    const outcome = await orrery(["up", file, "--json"], env);
    expect(outcome.code, outcome.stderr).toBe(0);
  };
  const status = async () => {
    const outcome = await orrery(["status", file, "--json"], env);
    expect(outcome.code, outcome.stderr).toBe(0);
    return statusSchema.parse(JSON.parse(outcome.stdout));
  };
  /** Which pods the peers are: others once the network is made anew. */
  const podIds = async (): Promise<unknown[]> => {
    const { items } = await api().listNamespacedPod({ namespace, labelSelector: `orrery.dev/group=${group}` });
    return items.map(({ metadata, status }) => [
      metadata?.uid,
      status?.containerStatuses?.map((container) => container.restartCount),
    ]);
  };
  /** Asks a peer's js-ceramic through the API server. */
  const get = async (ordinal: number, path: string): Promise<unknown> => {
    const name = `${group}-${ordinal}:7007`;
    const answer = await api().connectGetNamespacedPodProxyWithPath({ name, namespace, path });
    return typeof answer === "string" ? JSON.parse(answer) : answer;
  };
  /** What a peer has of the streams at their commits. */
  const contents = async (ordinal: number): Promise<unknown[]> => {
    const found: unknown[] = [];
    for (const commit of commits) {
      const reply = streamSchema.parse(await get(ordinal, `api/v0/streams/${commit}`));
      found.push({ commit, content: reply.state.next?.content ?? reply.state.content });
    }
    return found;
  };

  beforeAll(async () => {
    env = cluster.environment();
    folder = await mkdtemp(join(tmpdir(), "orrery-e2e-"));
    file = join(folder, "experiment.yaml");
    summary = await runOf(experiment(2, replicated));
    [run = ""] = await readdir(join(folder, "results", name));
    const query = "SELECT DISTINCT event FROM replication ORDER BY event";
    const rows = await orrery(["sql", `${name}/${run}`, query, "--results", join(folder, "results"), "--json"], env);
    commits = z
      .array(z.object({ event: z.string() }))
      .parse(JSON.parse(rows.stdout))
      .map(({ event }) => event);
    commits = commits.slice(0, mostStreams);
  });

  afterAll(async () => {
    if (file === undefined) return;
    await orrery(["destroy", file, "--remove"], env);
    await rm(folder, { recursive: true, force: true });
  });

  test("the first run is valid: every write is kept by its peer and shows at the other one", () => {
    expect(summary.reasons).toEqual([]);
    expect(summary.replication).toMatchObject({ persisted_ratio: 1, replicated_ratio: 1, unknown: 0 });
    expect(summary.replication?.events).toBeGreaterThan(0);
    expect(summary.verdict).toBe("pass");
  });

  test("every peer is ready, connected to the other one and who the plan says", async () => {
    const { ready, members } = await status();
    expect(ready).toBe(2);
    expect(members.map(({ pod, connections }) => [pod, connections])).toEqual([
      [`${group}-0`, 1],
      [`${group}-1`, 1],
    ]);
    const chains = await get(1, "api/v0/node/chains");
    expect(chains).toMatchObject({ supportedChains: [expect.stringContaining("inmemory")] });
  });

  test.each(["ceramic-simple", "ceramic-write-only", "ceramic-new-streams-benchmark"] as const)(
    "%s is a valid run on the network that is there",
    async (scenario) => {
      const before = await podIds();
      const found = await runOf(experiment(2, replicated, windowOf(scenario)));
      expect(found.reasons).toEqual([]);
      expect(found.verdict).toBe("pass");
      expect(found.replication).toMatchObject({ persisted_ratio: 1, replicated_ratio: 1, unknown: 0 });
      expect(found.replication?.events).toBeGreaterThan(0);
      expect(Object.keys(found.operations)).toEqual(Object.keys(ceramicScenarios[scenario].operations));
      expect(Object.values(found.operations).map(({ errors }) => errors)).toEqual(
        Object.keys(found.operations).map(() => 0),
      );
      if (scenario === "ceramic-new-streams-benchmark") {
        // All are made at the first peer; what the other one gained came by replication.
        expect(found.metrics.member_rate).toBeGreaterThan(0);
        expect(found.nodes?.map(({ accepted }) => accepted > 0)).toEqual([true, false]);
      }
      expect(await podIds()).toEqual(before);
    },
  );

  test("a peer that lost all its connections is connected again by itself", async () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig());
    const kubo = (path: string) => askPod(config, { namespace, pod: `${group}-1`, port: 5101 }, `api/v0/${path}`, {});
    const peers = async (): Promise<string[]> => {
      const { Peers } = peersSchema.parse(await kubo("swarm/peers"));
      return [...new Set((Peers ?? []).map(({ Peer }) => Peer))];
    };
    const before = await peers();
    expect(before).toHaveLength(1);
    const answer = await kubo(`swarm/disconnect?arg=${encodeURIComponent(`/p2p/${before[0]}`)}`);
    expect(JSON.stringify(answer)).toContain("success");
    await expect.poll(peers, patience).toEqual(before);
  });

  test("a peer that crashes in a run returns as who it was, with its data, and is connected again", async () => {
    const before = await status();
    expect(commits.length).toBeGreaterThan(3);
    const written = await contents(1);
    expect(new Set(written.map((one) => JSON.stringify(one))).size).toBe(commits.length);
    const { faults } = await runOf(experiment(2, killed));
    expect(faults).toMatchObject([{ kind: "kill", applied: true, members: [{ pod: `${group}-1`, crashed: true }] }]);
    await expect
      .poll(async () => {
        const member = (await status()).members[1];
        return member?.ready === true && member.connections === 1;
      }, patience)
      .toBe(true);
    expect((await status()).members[1]?.attributes).toEqual(before.members[1]?.attributes);
    expect(await contents(1)).toEqual(written);
  });

  test("2 -> 3 -> 2 peers lose no stream: the new one gets it, the old ones keep it", async () => {
    await up(3);
    const { ready, members } = await status();
    expect(ready).toBe(3);
    expect(members.every(({ connections }) => (connections ?? 0) >= 1)).toBe(true);
    const written = await contents(0);
    expect(await contents(2)).toEqual(written);
    await up(2);
    expect((await status()).members.map(({ pod, ready: is }) => [pod, is])).toEqual([
      [`${group}-0`, true],
      [`${group}-1`, true],
    ]);
    for (const ordinal of [0, 1]) expect(await contents(ordinal)).toEqual(written);
  });

  test("a second preview shows no change, and destroy leaves nothing", async () => {
    const preview = await orrery(["preview", file, "--json"], env);
    expect(JSON.parse(preview.stdout)).toMatchObject({ cluster: true, changes: 0 });
    const outcome = await orrery(["destroy", file], env);
    expect(outcome.code, outcome.stderr).toBe(0);
    const namespaces = await api().listNamespace();
    expect(namespaces.items.map((item) => item.metadata?.name)).not.toContain(namespace);
  });
});
