import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, expect, test } from "vitest";
import { quorumSeries } from "../../components/observability/queries.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { resolveTools } from "../../local/toolchain/toolchain.ts";
import type { RunSpec } from "../../schema/run.ts";
import type { Connector, MemberFeed, OperationContext, Outcome } from "../../workloads/core/connector.ts";
import { seededRandom } from "../../workloads/core/random.ts";
import { connect, roles } from "../../workloads/quorum/connector.ts";
import { decodeGet, encodeGet } from "../../workloads/quorum/storage-contract.ts";
import { type ChainOptions, QuorumChain } from "../support/quorum-chain.ts";

/** The connector and the private-transaction manager with real GoQuorum nodes, all on loopback; needs no cluster. */
let geth: string;
let chain: QuorumChain | undefined;
let connector: Connector | undefined;

beforeAll(async () => {
  geth = (await resolveTools(OrreryHome.fromEnvironment(), ["goquorum"])).path("goquorum-geth");
});

afterEach(async () => {
  await connector?.close();
  await chain?.destroy();
  connector = undefined;
  chain = undefined;
});

async function start(options: Omit<ChainOptions, "geth">, operations: readonly string[]) {
  chain = await QuorumChain.start({ geth, ...options });
  const spec = {
    ...{ run: "r1", experiment: "quorum", system: "quorum", seed: 7, workers: 1 },
    operations: Object.fromEntries(operations.map((name) => [name, 1])),
    parameters: { keys: 1, valueSize: 40 },
    endpoints: chain.endpoints,
  } as unknown as RunSpec;
  connector = await connect(spec, { worker: 0, credentials: chain.credentials });
  return { chain, connector };
}

let sequence = 0;
async function operate(on: Connector, name: string, limitMs = 60_000): Promise<Outcome> {
  sequence += 1;
  const endMs = performance.now() + limitMs;
  const context: OperationContext = {
    sequence,
    random: seededRandom(sequence),
    headers: {},
    remainingMs: () => endMs - performance.now(),
  };
  const operation = on.operations[name];
  if (operation === undefined) throw new Error(`there is no operation ${name}`);
  return await operation(context);
}

/** Waits for what must come true at last. */
async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const endMs = Date.now() + 120_000;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`not within two minutes: ${what}`);
    await sleep(200);
  }
}

test.each(["tessera", "constellation"] as const)(
  "%s: a private transaction is read by its two parties only",
  async (privacy) => {
    const running = await start({ nodes: 3, privacy }, ["private_transfer"]);
    const engine = privacy === "tessera" ? "Tessera" : "Constellation";
    expect(running.chain.log).toContain(`name=${engine}`);
    const sent = await operate(running.connector, "private_transfer");
    expect(sent, running.chain.log.slice(-2_000)).toMatchObject({ ok: true });
    const { to, input, blockNumber, v } = await running.chain.call<Record<string, string>>(
      sent.endpoint,
      "eth_getTransactionByHash",
      sent.event,
    );
    expect(["0x25", "0x26"]).toContain(v);
    const [own, partner, stranger] = [0, 1, 2].map((step) => (sent.endpoint + step) % 3);
    const see = async (node = 0) => {
      await until(`node ${node} has the block`, async () => {
        return Number(await running.chain.call(node, "eth_blockNumber")) >= Number(blockNumber);
      });
      return {
        value: await running.chain.call<string>(node, "eth_call", { to, data: encodeGet(0n) }, "latest"),
        payload: await running.chain.call<string>(node, "eth_getQuorumPayload", input),
      };
    };
    const [first, second, third] = [await see(own), await see(partner), await see(stranger)];
    expect(Buffer.from(decodeGet(first.value) ?? []).toString()).toMatch(/^0-\w+\./);
    expect(second).toEqual(first);
    expect(first.payload.length).toBeGreaterThan(2);
    expect(third).toEqual({ value: "0x", payload: "0x" });
  },
);

test("every operation succeeds on real nodes, and what was written shows at every member", async () => {
  const operations = ["transfer", "contract_call", "contract_read", "deploy"];
  const running = await start({ nodes: 3 }, operations);
  expect(await roles(running.chain.endpoints)).toEqual(
    [0, 1, 2].map((ordinal) => ({ pod: `quorum-${ordinal}`, ordinal, role: "validator" })),
  );
  const seen = running.chain.endpoints.map(() => new Set<string>());
  const over = new AbortController();
  const feeds = running.chain.endpoints.map(async (endpoint, index) => {
    const feed: MemberFeed = {
      endpoint,
      cursor: null,
      delivered: (take) =>
        take({
          opened: (whole) => expect(whole).toBe(true),
          seen: (event) => void seen[index]?.add(event),
          caughtUp: () => undefined,
          reached: () => undefined,
        }),
    };
    await expect(running.connector.observe?.(feed, over.signal)).rejects.toThrow();
  });
  const outcomes: Outcome[] = [];
  for (const name of operations) {
    outcomes.push(...(await Promise.all([1, 2, 3].map(() => operate(running.connector, name)))));
  }
  expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
  const written = outcomes.filter(({ write }) => write !== undefined).map(({ write }) => write?.value);
  expect(written).toContain(await running.connector.readBack?.("0"));
  const events = outcomes.flatMap(({ event }) => event ?? []);
  expect(events).toHaveLength(9);
  await until("every event shows at every member", () => seen.every((of) => events.every((event) => of.has(event))));
  over.abort();
  await Promise.all(feeds);
});

test("under a steady load the chain goes on without one of its four validators", async () => {
  const running = await start({ nodes: 4 }, ["transfer"]);
  const height = async () => Number(await running.chain.call(0, "eth_blockNumber"));
  let over = false;
  const load = (async () => {
    const sent: Promise<Outcome>[] = [];
    while (!over) {
      sent.push(operate(running.connector, "transfer", 240_000));
      await sleep(250);
    }
    return sent;
  })();
  try {
    await running.chain.kill(3);
    const killed = await height();
    await until("each of the four has had its turn twice", async () => (await height()) >= killed + 8);
    const told = await (await fetch(running.chain.metricsUrl(0))).text();
    const names = quorumSeries.flatMap(({ query }) => query.match(/\b[a-z0-9]+(_[a-z0-9]+)+\b/g) ?? []);
    expect(names).toContain("p2p_ingress_istanbul_100_0x15_packets"); // rounds have been given up
    for (const name of names) expect(told).toMatch(new RegExp(`^${name} \\d`, "m"));
  } finally {
    over = true;
  }
  const outcomes = await Promise.all(await load);
  expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
});

test("a node that is killed under load costs no transaction", async () => {
  const running = await start({ nodes: 4 }, ["transfer"]);
  const before = await Promise.all(Array.from({ length: 20 }, () => operate(running.connector, "transfer")));
  const during = Array.from({ length: 40 }, async (_, index) => {
    await sleep(25 * index);
    return await operate(running.connector, "transfer", 120_000);
  });
  await running.chain.kill(0);
  const outcomes = [...before, ...(await Promise.all(during))];
  expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
  const last = outcomes.slice(-10);
  expect(last.filter(({ endpoint }) => endpoint === 0)).toEqual([]);
});
