import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { groupKey } from "../../components/kubernetes/identity.ts";
import { keyGroups } from "../../components/quorum/keys.ts";
import { documentsOf, type GroupKeys, planQuorum } from "../../components/quorum/plan.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { resolveTools } from "../../local/toolchain/toolchain.ts";
import { quorum } from "../../schema/systems/quorum.ts";
import { execute } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";
import { eventually } from "../support/quorum-nodes.ts";

/**
 * Members come and go while the chain goes on: the agent with real GoQuorum nodes, each in a network namespace of its own
 * on one bridge, without Kubernetes. The document is what `up` changes in a cluster.
 */
const key = (group: string): string => groupKey("01".repeat(32), "quorum", group);
const keys = Object.fromEntries(Object.values(keyGroups).map((group) => [group, key(group)])) as unknown as GroupKeys;
/** Of iproute2, as the local cluster needs it too. */
const iproute = "ip";
const hub = `oq${process.pid}`;
const addressOf = (ordinal: number): string => `198.18.77.${10 + ordinal}`;

let folder: string;
let agent: string;
const running = new Map<number, ChildProcess>();

async function ip(...args: readonly string[]): Promise<void> {
  const outcome = await execute(iproute, args);
  if (outcome.code !== 0) throw new Error(`ip ${args.join(" ")}: ${outcome.stderr}`);
}

/** A namespace with one address, linked to the bridge. */
async function addSpace(ordinal: number): Promise<void> {
  const [space, port] = [`${hub}-${ordinal}`, `v${ordinal}`];
  await ip("netns", "add", space);
  await ip("-n", space, "link", "add", "e0", "type", "veth", "peer", "name", port, "netns", hub);
  await ip("-n", space, "address", "add", `${addressOf(ordinal)}/24`, "dev", "e0");
  await ip("-n", space, "link", "set", "e0", "up");
  await ip("-n", space, "link", "set", "lo", "up");
  await ip("-n", hub, "link", "set", port, "master", "bridge", "up");
}

/** Writes who belongs to the network; the first block is that of the first time. */
async function publish(nodes: number, validators: number, first = false): Promise<void> {
  const section = quorum.network.parse({ system: "quorum", accounts: 1, bootnode: false, nodes, validators });
  const documents = documentsOf(section, planQuorum(section, "ns"), keys);
  const network = JSON.parse(documents.network) as { readonly members: { readonly ordinal: number; host: string }[] };
  for (const member of network.members) member.host = addressOf(member.ordinal);
  await writeFile(join(folder, "network.json"), JSON.stringify(network));
  if (!first) return;
  await writeFile(join(folder, "genesis.json"), documents.genesis);
  await writeFile(join(folder, "origin.json"), documents.origin);
}

async function start(ordinal: number): Promise<void> {
  const place = join(folder, `node-${ordinal}`);
  await mkdir(join(place, "run"), { recursive: true });
  const child = spawn(iproute, ["netns", "exec", `${hub}-${ordinal}`, agent, "node"], {
    stdio: "ignore",
    env: {
      PATH: `${join(folder, "bin")}:${process.env.PATH}`,
      HOME: join(place, "run"),
      QUORUM_POD_NAME: `quorum-${ordinal}`,
      QUORUM_POD_IP: addressOf(ordinal),
      QUORUM_GROUP_KEY_FILE: join(folder, "group-key"),
      QUORUM_NETWORK_FILE: join(folder, "network.json"),
      QUORUM_GENESIS_DIR: folder,
      QUORUM_DATA_DIR: join(place, "data"),
      QUORUM_RUN_DIR: join(place, "run"),
      QUORUM_LISTEN: "0.0.0.0:8080",
    },
  });
  running.set(ordinal, child);
}

async function stop(ordinal: number): Promise<void> {
  const child = running.get(ordinal);
  running.delete(ordinal);
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

/** Asks a node over its socket, which is a file and so is reached from outside its namespace. */
async function call(ordinal: number, method: string, ...params: readonly unknown[]): Promise<unknown> {
  const socket = createConnection(join(folder, `node-${ordinal}`, "run", "geth.ipc"));
  socket.setTimeout(10_000, () => socket.destroy(new Error(`${method}: no answer within 10 s`)));
  socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })}\n`);
  let text = "";
  for await (const chunk of socket) {
    text += String(chunk);
    if (!text.endsWith("\n")) continue;
    const { result, error } = JSON.parse(text) as { readonly result: unknown; readonly error?: object };
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`);
    return result;
  }
  throw new Error(`${method}: the connection ended`);
}

const height = async (ordinal: number): Promise<number> => Number(await call(ordinal, "eth_blockNumber"));
const blockHash = async (ordinal: number, number: number): Promise<string> => {
  const block = await call(ordinal, "eth_getBlockByNumber", `0x${number.toString(16)}`, false);
  return (block as { readonly hash: string }).hash;
};
const validators = async (): Promise<number> => ((await call(0, "istanbul_getValidators", null)) as string[]).length;
const grows = async (ordinal: number, from: number): Promise<number> =>
  await eventually(
    `node ${ordinal} has more than block ${from}`,
    () => height(ordinal),
    (now) => now > from + 2,
  );
const decides = async (count: number): Promise<number> =>
  await eventually(`${count} validators`, validators, (now) => now === count);

describe.skipIf(!cluster.available)("members of a running chain", () => {
  let first: string;
  let mark: { readonly number: number; readonly hash: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "orrery-members-"));
    const tools = await resolveTools(OrreryHome.fromEnvironment(), ["goquorum", "quorum-agent"]);
    agent = tools.path("orrery-quorum");
    await mkdir(join(folder, "bin"));
    await symlink(tools.path("goquorum-geth"), join(folder, "bin", "geth"));
    await writeFile(join(folder, "group-key"), keys.node);
    await ip("netns", "add", hub);
    await ip("-n", hub, "link", "add", "bridge", "type", "bridge");
    await ip("-n", hub, "link", "set", "bridge", "up");
    for (const ordinal of [0, 1, 2, 3, 4]) await addSpace(ordinal);
    await publish(3, 3, true);
    for (const ordinal of [0, 1, 2]) await start(ordinal);
    const number = await grows(0, 0);
    first = await blockHash(0, 0);
    mark = { number: number - 1, hash: await blockHash(0, number - 1) };
  });

  afterAll(async () => {
    for (const ordinal of [...running.keys()]) await stop(ordinal);
    for (const ordinal of [0, 1, 2, 3, 4]) await execute(iproute, ["netns", "delete", `${hub}-${ordinal}`]);
    await execute(iproute, ["netns", "delete", hub]);
    await rm(folder, { recursive: true, force: true });
  });

  test("an observer that joins gets the whole chain, follows it, and takes no part in making blocks", async () => {
    await publish(4, 3);
    await start(3);
    await grows(3, mark.number);
    expect(await blockHash(3, 0)).toBe(first);
    expect(await blockHash(3, mark.number)).toBe(mark.hash);
    expect(await call(3, "eth_mining")).toBe(false);
    expect(await validators()).toBe(3);
  });

  test("it is voted in with another that joins, and the other is voted out again and follows as an observer", async () => {
    await publish(5, 5);
    await start(4);
    await decides(5);
    await publish(5, 4);
    await decides(4);
    await grows(4, await height(4));
  });

  test("when both are gone three validators go on with the same chain", async () => {
    await publish(3, 3);
    await stop(4);
    await stop(3);
    await decides(3);
    for (const ordinal of [0, 1, 2]) await grows(ordinal, await height(ordinal));
    expect(await blockHash(0, mark.number)).toBe(mark.hash);
  });
});
