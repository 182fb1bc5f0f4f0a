import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AppsV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memberKey } from "../../components/kubernetes/identity.ts";
import { keyGroups, purposeOf } from "../../components/quorum/keys.ts";
import { orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";
import { eventually, QuorumNodes } from "../support/quorum-nodes.ts";

/**
 * A chain of three validators on a real cluster: restarted, grown by a validator and an observer, made smaller by the
 * observer, and with one and two of the validators away.
 */
const name = `e2e-quorum-${process.pid}`;
const namespace = `orrery-${name}`;
const experiment = (nodes: number, validators: number): string => `schema: orrery/v1
name: ${name}
seed: 12
network: {system: quorum, consensus: qbft, nodes: ${nodes}, validators: ${validators}, accounts: 8, cpu: 50m, memory: 256Mi, storage: 256Mi}
workload:
  operations: {transfer: 1}
  arrival: {rate: 5/s}
  phases: {warmup: 2s, measure: 10s, cooldown: 10s}
`;

/** The keys of members and accounts under a group's key, whichever group it is of. */
function derivedFrom(groupKey: string): string[] {
  const ordinals = Array.from({ length: 8 }, (_, ordinal) => ordinal);
  return [keyGroups.node, keyGroups.bootnode, keyGroups.account].flatMap((group) =>
    ordinals.map((ordinal) => memberKey(groupKey, group, ordinal, purposeOf(groupKey, group, ordinal))),
  );
}

describe.skipIf(!cluster.available)("quorum on the local cluster", () => {
  let folder: string;
  let file: string;
  let env: NodeJS.ProcessEnv;
  let config: KubeConfig;
  let chain: QuorumNodes;
  const up = async (nodes: number, validators = nodes): Promise<void> => {
    await writeFile(file, experiment(nodes, validators));
    const outcome = await orrery(["up", file], env);
    expect(outcome.code, outcome.stderr).toBe(0);
  };
  const scale = async (replicas: number): Promise<void> => {
    const api = config.makeApiClient(AppsV1Api);
    const place = { name: "quorum", namespace };
    const body = await api.readNamespacedStatefulSetScale(place);
    body.spec = { ...body.spec, replicas };
    await api.replaceNamespacedStatefulSetScale({ ...place, body });
    const pods = config.makeApiClient(CoreV1Api);
    await eventually(
      `${replicas} nodes`,
      async () => (await pods.listNamespacedPod({ namespace, labelSelector: "app.kubernetes.io/name=quorum" })).items,
      ({ length }) => length === replicas,
    );
  };
  const grows = (ordinal: number, from: number, by: number): Promise<number> =>
    eventually(
      `node ${ordinal} goes on`,
      () => chain.height(ordinal),
      (height) => height >= from + by,
    );

  beforeAll(async () => {
    env = cluster.environment();
    folder = await mkdtemp(join(tmpdir(), "orrery-e2e-"));
    file = join(folder, "experiment.yaml");
    config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig());
    chain = new QuorumNodes(config, namespace);
    await up(3);
  });

  afterAll(async () => {
    if (file !== undefined) {
      await orrery(["destroy", file, "--remove"], env);
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("the nodes are one chain: each has all others as peers, and the same blocks", async () => {
    for (const ordinal of [0, 1, 2]) {
      await eventually(
        `peers of node ${ordinal}`,
        () => chain.peers(ordinal),
        (count) => count === 2,
      );
    }
    const height = Math.min(...(await Promise.all([0, 1, 2].map((ordinal) => chain.height(ordinal)))));
    expect(height).toBeGreaterThan(0);
    const hashes = await Promise.all([0, 1, 2].map(async (ordinal) => (await chain.block(ordinal, height)).hash));
    expect(new Set(hashes).size).toBe(1);
  });

  test("a second preview shows no change", async () => {
    const preview = await orrery(["preview", file, "--json"], env);
    expect(JSON.parse(preview.stdout)).toMatchObject({ cluster: true, changes: 0 });
  });

  test("a pod that is deleted comes back as the same node, with its blocks", async () => {
    const pods = config.makeApiClient(CoreV1Api);
    const pod = { name: "quorum-1", namespace };
    const uid = async () => (await pods.readNamespacedPod(pod)).metadata?.uid;
    const [before, address, { number, hash }] = [
      await uid(),
      await chain.call(1, "istanbul_nodeAddress"),
      await chain.block(1),
    ];
    await pods.deleteNamespacedPod(pod);
    await eventually("another pod", uid, (now) => now !== before);
    await eventually(
      "the same node",
      () => chain.call(1, "istanbul_nodeAddress"),
      (now) => now === address,
    );
    expect(await chain.block(1, number)).toMatchObject({ hash });
    await grows(1, number, 3);
  });

  test("a fourth node joins the same chain, is voted in, and makes blocks; a fifth observes", async () => {
    const [first, before] = [await chain.block(0, 0), await chain.block(0)];
    await up(5, 4);
    for (const ordinal of [0, 3, 4]) expect(await chain.block(ordinal, 0)).toEqual(first);
    await grows(0, before.number, 1);
    const own = String(await chain.call(3, "istanbul_nodeAddress")).toLowerCase();
    await eventually(
      "four validators",
      () => chain.call(0, "istanbul_getValidators", null),
      (validators) => JSON.stringify(validators).toLowerCase().includes(own),
    );
    await eventually(
      "a block of the fourth node",
      () => chain.author(0),
      (author) => author === own,
    );
    await grows(4, before.number, 1);
    expect(await chain.block(4, before.number)).toEqual(before);
    const observer = String(await chain.call(4, "istanbul_nodeAddress")).toLowerCase();
    expect(await chain.call(4, "eth_mining")).toBe(false);
    const validators = (await chain.call(4, "istanbul_getValidators", null)) as readonly string[];
    expect(validators.map((address) => address.toLowerCase())).not.toContain(observer);
    expect(validators).toHaveLength(4);
  });

  test("the observer leaves, and the four validators go on with the same chain", async () => {
    const before = await chain.block(0);
    await up(4);
    expect(await chain.block(0, before.number)).toEqual(before);
    expect(await chain.call(0, "istanbul_getValidators", null)).toHaveLength(4);
    await grows(0, before.number, 3);
  });

  test("with one of four validators away the chain goes on; with two it halts; back, all catch up", async () => {
    await scale(3);
    await grows(0, await chain.height(0), 3);
    await scale(2);
    // Blocks under way when the third left may still come: from then on there is none.
    await eventually(
      "no block within ten seconds",
      async () => {
        const height = await chain.height(0);
        await sleep(10_000);
        return (await chain.height(0)) - height;
      },
      (more) => more === 0,
    );
    const halted = await chain.block(0);
    await scale(4);
    await grows(3, halted.number, 2);
    await grows(0, halted.number, 2);
    expect(await chain.block(3, halted.number)).toEqual(halted);
    const again = await chain.block(0, halted.number + 1);
    await eventually(
      "the same block at the node that was away",
      () => chain.block(3, again.number),
      ({ hash }) => hash === again.hash,
    );
  });

  test("no private key, nor one that others are derived from, is in the state, the plan, a pod's spec or a log", async () => {
    const folderOfState = join(env.ORRERY_HOME ?? "", "state", ".pulumi", "stacks", "orrery");
    const state = await readFile(join(folderOfState, `${name}-local.json`), "utf8");
    const api = config.makeApiClient(CoreV1Api);
    const { items: pods } = await api.listNamespacedPod({ namespace });
    const { items: configMaps } = await api.listNamespacedConfigMap({ namespace });
    const containers = pods.flatMap(({ metadata, spec }) =>
      (spec?.containers ?? []).map((container) => ({ name: metadata?.name ?? "", container: container.name })),
    );
    const logs = await Promise.all(
      containers.map(async (container) => await api.readNamespacedPodLog({ ...container, namespace })),
    );
    expect(logs.join()).toContain("Successfully sealed new block");
    const { items: secrets } = await api.listNamespacedSecret({ namespace });
    const groupKeys = secrets
      .flatMap(({ data = {} }) => Object.values(data).map((value) => Buffer.from(value, "base64").toString().trim()))
      .filter((value) => /^[0-9a-f]{64}$/.test(value));
    expect(groupKeys.length).toBeGreaterThanOrEqual(3); // of nodes, bootnode and accounts
    const shown = [state, JSON.stringify(pods), JSON.stringify(configMaps), ...logs].join().toLowerCase();
    for (const key of groupKeys.flatMap((groupKey) => [groupKey, ...derivedFrom(groupKey)])) {
      expect(shown.includes(key)).toBe(false); // not the text itself: a failure would show it
    }
  });
});
