import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import { groupKey } from "../../components/kubernetes/identity.ts";
import { identityOf, keyGroups } from "../../components/quorum/keys.ts";
import { documentsOf, type GroupKeys, planQuorum } from "../../components/quorum/plan.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { resolveTools } from "../../local/toolchain/toolchain.ts";
import { quorum } from "../../schema/systems/quorum.ts";
import { eventually } from "../support/quorum-nodes.ts";

/** The agent with real clients, one node each: first blocks are accepted, blocks are made, mistakes are named. */
const key = (group: string): string => groupKey("01".repeat(32), "quorum", group);
const keys = Object.fromEntries(Object.values(keyGroups).map((group) => [group, key(group)])) as unknown as GroupKeys;
type Written = Omit<z.input<typeof quorum.network>, "system">;

let folder: string;
let agent: string;
const bins = new Map<string, string>();
const started: Node[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "orrery-quorum-"));
  const tools = await resolveTools(OrreryHome.fromEnvironment(), ["goquorum", "geth", "quorum-agent"]);
  agent = tools.path("orrery-quorum");
  for (const client of ["goquorum", "geth"]) {
    const bin = join(folder, `bin-${client}`);
    await mkdir(bin);
    await symlink(tools.path(`${client}-geth`), join(bin, "geth"));
    bins.set(client, bin);
  }
});

afterAll(async () => {
  await Promise.all(started.map((node) => node.stop()));
  await rm(folder, { recursive: true, force: true });
});

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

class Node {
  readonly #child: ChildProcess;
  readonly rpc: number;
  readonly #agent: number;
  log = "";
  constructor(child: ChildProcess, rpc: number, agentPort: number) {
    this.#child = child;
    this.rpc = rpc;
    this.#agent = agentPort;
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (this.log += String(chunk)));
  }

  get ended(): Promise<number | null> {
    const { exitCode } = this.#child;
    return exitCode !== null ? Promise.resolve(exitCode) : new Promise((done) => this.#child.once("exit", done));
  }

  async ready(): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${this.#agent}/readyz`);
    return answer.ok ? "ready" : await answer.text();
  }

  async call(method: string, ...params: readonly unknown[]): Promise<unknown> {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`http://127.0.0.1:${this.rpc}`, { method: "POST", headers, body });
    return ((await answer.json()) as { readonly result?: unknown }).result;
  }

  async stop(): Promise<number | null> {
    this.#child.kill("SIGTERM");
    return await this.ended;
  }
}

/** A network of one node in a folder; `change` may alter its files before the agent starts. */
async function start(name: string, network: Written, change?: (place: string) => Promise<void>): Promise<Node> {
  const section = quorum.network.parse({ system: "quorum", nodes: 1, accounts: 1, bootnode: false, ...network });
  const documents = documentsOf(section, planQuorum(section, "ns"), keys);
  const [rpc = 0, ws = 0, p2p = 0, raft = 0, metrics = 0, health = 0] = await freePorts(6);
  const document = { ...JSON.parse(documents.network), ports: { rpc, ws, p2p, raft, metrics } };
  const place = join(folder, name);
  await mkdir(join(place, "run"), { recursive: true });
  await writeFile(join(place, "network.json"), JSON.stringify(document));
  await writeFile(join(place, "genesis.json"), documents.genesis);
  await writeFile(join(place, "origin.json"), documents.origin);
  await writeFile(join(place, "group-key"), keys.node);
  await change?.(place);
  const child = spawn(agent, ["node"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: `${bins.get(section.client)}`,
      HOME: join(place, "run"),
      QUORUM_POD_NAME: "quorum-0",
      QUORUM_POD_IP: "127.0.0.1",
      QUORUM_GROUP_KEY_FILE: join(place, "group-key"),
      QUORUM_NETWORK_FILE: join(place, "network.json"),
      QUORUM_GENESIS_DIR: place,
      QUORUM_DATA_DIR: join(place, "data"),
      QUORUM_RUN_DIR: join(place, "run"),
      QUORUM_LISTEN: `127.0.0.1:${health}`,
    },
  });
  const node = new Node(child, rpc, health);
  started.push(node);
  return node;
}

describe("one node", () => {
  test.each([
    ["goquorum", "qbft"],
    ["goquorum", "ibft"],
    ["goquorum", "clique"],
    ["geth", "clique"],
  ] as const)("%s makes blocks by %s, tells when it serves, and stops when asked", async (client, consensus) => {
    const node = await start(`${client}-${consensus}`, { client, consensus });
    await eventually(
      "ready",
      () => node.ready(),
      (answer) => answer === "ready",
    );
    expect(Number(await node.call("eth_blockNumber"))).toBeGreaterThan(0);
    expect(await node.call("net_version")).toBe("1337");
    const { address } = identityOf(keys.node, keyGroups.node, 0);
    const list = consensus === "clique" ? "clique_getSigners" : "istanbul_getValidators";
    expect(JSON.stringify(await node.call(list, null)).toLowerCase()).toBe(`["${address.toLowerCase()}"]`);
    expect(await node.call("admin_nodeInfo")).toBeUndefined(); // closed to everybody but the agent
    expect(await node.stop()).toBe(0);
  });

  test("before its key is there it says so and ends; once it is there it runs", async () => {
    const without = await start("no-key", {}, (place) => rm(join(place, "group-key")));
    expect(await without.ended).toBe(1);
    expect(without.log).toMatch(/no key yet: .*group-key.*it comes with the Secret/);
    const node = await start("no-key", {});
    await eventually(
      "ready",
      () => node.ready(),
      (answer) => answer === "ready",
    );
  });

  test("refuses keys of another stack", async () => {
    const node = await start("other-key", {}, (place) => writeFile(join(place, "group-key"), key("account")));
    expect(await node.ended).toBe(1);
    expect(node.log).toMatch(/Secret and ConfigMap are of different stacks/);
  });

  test("refuses a volume that holds another chain, and keeps it", async () => {
    const first = await start("chains", {});
    await eventually(
      "a block",
      () => first.call("eth_blockNumber"),
      (height) => Number(height) > 0,
    );
    await first.stop();
    const other = await start("chains", { chainId: 7 });
    expect(await other.ended).toBe(1);
    expect(other.log).toMatch(/the volume holds a chain with another first block/);
    const again = await start("chains", {});
    await eventually(
      "the chain goes on",
      () => again.call("eth_blockNumber"),
      (height) => Number(height) > 1,
    );
  });

  test("waits for a place in the network, and says so", async () => {
    const node = await start("absent", {}, async (place) => {
      const document = JSON.parse(await readFile(join(place, "network.json"), "utf8")) as { members: unknown[] };
      document.members = [];
      await writeFile(join(place, "network.json"), JSON.stringify(document));
    });
    await eventually(
      "a word about it",
      async () => node.log,
      (log) => log.includes("waiting for node 0 to be in the network's document: it has 0 members"),
    );
    expect(await node.ready()).toMatch(/has not been started yet/);
    await node.stop();
  });
});
