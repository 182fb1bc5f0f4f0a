import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppsV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Summary, summarySchema } from "../../schema/summary.ts";
import { orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";
import { eventually, QuorumNodes } from "../support/quorum-nodes.ts";

/** Networks that differ from the default in everything else that can be chosen: each is deployed, loaded and judged. */
const networks = [
  {
    name: "raft",
    network: "consensus: raft, privacy: tessera, layout: set-per-node",
    operations: "{transfer: 2, contract_read: 1, private_transfer: 1}",
    podOf: (ordinal: number) => `node-set-${ordinal + 1}-0`,
  },
  {
    name: "clique",
    network: "client: geth, consensus: clique",
    operations: "{transfer: 2, contract_call: 1}",
    podOf: (ordinal: number) => `quorum-${ordinal}`,
  },
] as const;
const nodes = [0, 1, 2];

describe.skipIf(!cluster.available).each(networks)("a quorum network of $network", (kind) => {
  const name = `e2e-${kind.name}-${process.pid}`;
  const namespace = `orrery-${name}`;
  let folder: string;
  let file: string;
  let config: KubeConfig;
  let chain: QuorumNodes;
  let summary: Summary;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "orrery-e2e-"));
    file = join(folder, "experiment.yaml");
    await writeFile(
      file,
      `schema: orrery/v1
name: ${name}
seed: 13
network: {system: quorum, nodes: ${nodes.length}, ${kind.network}, accounts: 8, cpu: 50m, memory: 256Mi, storage: 256Mi}
workload:
  operations: ${kind.operations}
  arrival: {rate: 5/s}
  phases: {warmup: 2s, measure: 5s, cooldown: 10s}
  timeout: 60s
`,
    );
    config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig());
    chain = new QuorumNodes(config, namespace, kind.podOf);
    const outcome = await orrery(["run", file, "--results", join(folder, "results"), "--json"], cluster.environment());
    expect(outcome.code, outcome.stderr).toBeLessThan(3);
    summary = summarySchema.parse(JSON.parse(outcome.stdout));
  });

  afterAll(async () => {
    if (file !== undefined) {
      await orrery(["destroy", file, "--remove"], cluster.environment());
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("every operation reached the chain", () => {
    const operations = Object.entries(summary.operations);
    expect(operations.length).toBeGreaterThan(1);
    for (const [operation, { count, errors }] of operations) {
      expect(count, operation).toBeGreaterThan(0);
      expect(errors, operation).toBe(0);
    }
  });

  test("the nodes are one chain: each has all others as peers, and the same blocks", async () => {
    for (const ordinal of nodes) {
      await eventually(
        `peers of node ${ordinal}`,
        () => chain.peers(ordinal),
        (count) => count === nodes.length - 1,
      );
    }
    const height = await eventually(
      "blocks at every node",
      async () => Math.min(...(await Promise.all(nodes.map((ordinal) => chain.height(ordinal))))),
      (least) => least > 0,
    );
    const hashes = await Promise.all(nodes.map(async (ordinal) => (await chain.block(ordinal, height)).hash));
    expect(new Set(hashes).size).toBe(1);
  });

  if (kind.name === "raft") {
    test("one leads, all are members, and each node has a set and a volume of its own", async () => {
      const members = (await chain.call(0, "raft_cluster")) as readonly { readonly role: string }[];
      expect(members.map(({ role }) => role).sort()).toEqual(["minter", "verifier", "verifier"]);
      const sets = await config.makeApiClient(AppsV1Api).listNamespacedStatefulSet({ namespace });
      const own = nodes.map((ordinal) => `node-set-${ordinal + 1}`);
      expect(sets.items.map(({ metadata }) => metadata?.name)).toEqual(expect.arrayContaining(own));
      const claims = await config.makeApiClient(CoreV1Api).listNamespacedPersistentVolumeClaim({ namespace });
      const bound = claims.items.filter(({ status }) => status?.phase === "Bound");
      const volumes = own.map(
        (_, index) => bound.find(({ metadata }) => metadata?.name === `node-${index + 1}-pv-claim`)?.spec?.volumeName,
      );
      expect(new Set(volumes).size).toBe(nodes.length);
      expect(volumes).not.toContain(undefined);
    });

    test("the managers are taken for Tessera's, and say that they are none", async () => {
      const pods = config.makeApiClient(CoreV1Api);
      const pod = { name: kind.podOf(0), namespace };
      expect(await pods.readNamespacedPodLog({ ...pod, container: "node" })).toMatch(/name=Tessera/);
      expect(await pods.readNamespacedPodLog({ ...pod, container: "ptm" })).toMatch(/stand-in/);
    });
  } else {
    test("every node may seal, and more than one did", async () => {
      const signers = (await chain.call(0, "clique_getSigners")) as readonly string[];
      expect(signers).toHaveLength(nodes.length);
      await eventually(
        "blocks of two sealers",
        async () => {
          const height = await chain.height(0);
          const blocks = Array.from({ length: Math.min(height, 8) }, (_, back) => `0x${(height - back).toString(16)}`);
          return new Set(await Promise.all(blocks.map((block) => chain.call(0, "clique_getSigner", block))));
        },
        ({ size }) => size > 1,
      );
    });
  }
});
