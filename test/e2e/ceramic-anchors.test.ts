import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { CID } from "multiformats/cid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type Summary, summarySchema } from "../../schema/summary.ts";
import { streamId } from "../../workloads/ceramic/streams.ts";
import { orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";
import { askPod } from "../support/pod-proxy.ts";

/** A Ceramic network with a chain and an anchor service of its own: what is written becomes anchored, and stays so. */
const name = `e2e-ca-${process.pid}`;
const namespace = `orrery-${name}`;
const experiment = `schema: orrery/v1
name: ${name}
seed: 3
network:
  system: ceramic
  replicas: 2
  networkType: local
  bootstrap: {method: ring, n: 1}
  groups: [{storage: 256Mi, ipfs: {kind: go, storage: 256Mi}}]
workload:
  operations: {create: 1}
  arrival: {users: 1, thinkTime: 300ms}
  phases: {warmup: 1s, measure: 5s, cooldown: 1s}
  timeout: 30s
  parameters: {authors: 1, documents: 0, shapes: [small], peers: first, anchors: {wait: 240}}
observe: {replication: {deadline: 30s}}
objectives:
  - {metric: bad_anchors, max: 0}
  - {metric: anchored_ratio, min: 1}
`;
/** A peer asks for its anchors about once a minute; pods may have a busy machine. */
const patience = { timeout: 300_000, interval: 3_000 };
const eventsSchema = z.array(z.object({ event: z.string() })).min(1);
const streamSchema = z.object({
  state: z.object({
    type: z.number(),
    anchorStatus: z.string(),
    log: z.array(z.object({ cid: z.string() })).min(1),
  }),
});
const requestSchema = z.object({ status: z.string(), anchorCommit: z.object({ cid: z.string() }) });

describe.skipIf(!cluster.available)("anchors on the local cluster", () => {
  let folder: string;
  let file: string;
  let env: NodeJS.ProcessEnv;
  let config: KubeConfig;
  let summary: Summary;
  /** A document, and the commit that it began with. */
  let document: { readonly id: string; readonly genesis: string };

  const peer = async (ordinal: number, path: string) =>
    streamSchema.parse(await askPod(config, { namespace, pod: `ceramic-0-${ordinal}`, port: 7007 }, path));
  const request = async () => {
    const path = `api/v0/requests/${document.genesis}`;
    return requestSchema.parse(await askPod(config, { namespace, pod: "cas-0", port: 8081 }, path));
  };
  const blocks = async (): Promise<number> => {
    const call = { jsonrpc: "2.0", id: 1, method: "eth_blockNumber", params: [] };
    const answer = await askPod(config, { namespace, pod: "ganache-0", port: 8545 }, "", call);
    return Number(z.object({ result: z.string() }).parse(answer).result);
  };
  const uidOf = async (pod: string): Promise<string | undefined> => {
    const found = await config.makeApiClient(CoreV1Api).readNamespacedPod({ name: pod, namespace });
    const ready = found.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
    return ready ? found.metadata?.uid : undefined;
  };

  beforeAll(async () => {
    env = cluster.environment();
    folder = await mkdtemp(join(tmpdir(), "orrery-e2e-"));
    file = join(folder, "experiment.yaml");
    const results = join(folder, "results");
    await writeFile(file, experiment);
    config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig());
    const outcome = await orrery(["run", file, "--results", results, "--json"], env);
    expect(outcome.stderr).not.toMatch(/orrery: /);
    summary = summarySchema.parse(JSON.parse(outcome.stdout));
    const [run = ""] = await readdir(join(results, name));
    const query = "SELECT DISTINCT event FROM replication ORDER BY event LIMIT 1";
    const rows = await orrery(["sql", `${name}/${run}`, query, "--results", results, "--json"], env);
    const [first] = eventsSchema.parse(JSON.parse(rows.stdout));
    const { state } = await peer(0, `api/v0/streams/${first?.event}`);
    const genesis = state.log[0]?.cid ?? "";
    document = { id: streamId(state.type, CID.parse(genesis)), genesis };
  });

  afterAll(async () => {
    if (file === undefined) return;
    await orrery(["destroy", file, "--remove"], env);
    await rm(folder, { recursive: true, force: true });
  });

  test("every document of a run is anchored where it was made", () => {
    expect(summary.reasons).toEqual([]);
    expect(summary.metrics).toMatchObject({ bad_anchors: 0, anchored_ratio: 1 });
    expect(summary.verdict).toBe("pass");
  });

  test("the other peer has checked the anchor too", async () => {
    const status = async () => (await peer(1, `api/v0/streams/${document.id}`)).state.anchorStatus;
    await expect.poll(status, patience).toBe("ANCHORED");
  });

  test("chain and anchor service keep what they had when their pods are replaced", async () => {
    const before = { blocks: await blocks(), request: await request() };
    expect(before.blocks).toBeGreaterThan(0);
    expect(before.request.status).toBe("COMPLETED");
    for (const pod of ["ganache-0", "cas-0"]) {
      const uid = await uidOf(pod);
      await config.makeApiClient(CoreV1Api).deleteNamespacedPod({ name: pod, namespace });
      const replaced = async () => {
        const now = await uidOf(pod).catch(() => undefined); // gone, and not there again yet
        return now !== undefined && now !== uid;
      };
      await expect.poll(replaced, patience).toBe(true);
    }
    expect(await blocks()).toBeGreaterThanOrEqual(before.blocks);
    expect(await request()).toEqual(before.request);
  });
});
