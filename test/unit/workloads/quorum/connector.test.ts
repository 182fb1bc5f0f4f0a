import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AbiCoder } from "ethers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RunSpec } from "../../../../schema/run.ts";
import type {
  Connector,
  FeedDelivery,
  MemberFeed,
  OperationContext,
  Outcome,
} from "../../../../workloads/core/connector.ts";
import { seededRandom } from "../../../../workloads/core/random.ts";
import { accountKey } from "../../../../workloads/quorum/accounts.ts";
import { connect, roles } from "../../../../workloads/quorum/connector.ts";
import { followFeed } from "../../../../workloads/quorum/feed.ts";
import { addressOf, selectorOf, toHex } from "../../../../workloads/quorum/transaction.ts";
import { type Mood, StubChain } from "../../../support/quorum-stub.ts";

const accountsKey = "22".repeat(32);
/** The only account. */
const account = addressOf(accountKey(new Uint8Array(Buffer.from(accountsKey, "hex")), 0));

let folder: string;
let chain: StubChain;
let connector: Connector | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orrery-quorum-"));
  await writeFile(join(folder, "accounts-key"), accountsKey);
  await writeFile(join(folder, "accounts"), "1");
  chain = await StubChain.create(2);
});

afterEach(async () => {
  await connector?.close();
  connector = undefined;
  await chain.close();
  await rm(folder, { recursive: true, force: true });
});

function specOf(operations: readonly string[] = ["transfer"], workers = 1): RunSpec {
  return {
    ...{ run: "r1", experiment: "quorum", system: "quorum", seed: 7, workers },
    operations: Object.fromEntries(operations.map((name) => [name, 1])),
    parameters: { keys: 4, valueSize: 24 },
    endpoints: chain.endpoints,
  } as unknown as RunSpec;
}

/** Connects, with blocks for what that takes. */
async function open(operations: readonly string[] = ["transfer"]): Promise<Connector> {
  const connecting = connect(specOf(operations), { worker: 0, credentials: folder });
  connector = await mining(connecting);
  await until("somebody follows the blocks", () => chain.nodes.some(({ subscribers }) => subscribers > 0));
  return connector;
}

let sequence = 0;
async function operate(on: Connector, name: string, limitMs = 25_000): Promise<Outcome> {
  sequence += 1;
  const endMs = performance.now() + limitMs;
  const random = seededRandom(sequence);
  const context: OperationContext = { sequence, random, headers: {}, remainingMs: () => endMs - performance.now() };
  const operation = on.operations[name];
  if (operation === undefined) throw new Error(`there is no operation ${name}`);
  return await operation(context);
}

/** Makes blocks as long as something is not settled. */
async function mining<T>(promise: Promise<T>): Promise<T> {
  let over = false;
  const settled = promise.finally(() => {
    over = true;
  });
  settled.catch(() => undefined);
  while (!over) {
    if (chain.pooled > 0) chain.mine();
    await sleep(5);
  }
  return await settled;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`it did not come true: ${what}`);
    await sleep(5);
  }
}

/** Takes the next transaction of each node in this way. */
function mood(next: Mood): void {
  for (const node of chain.nodes) node.moods.push(next);
}

describe("beside a raw sender", () => {
  const never = new AbortController().signal;
  const compare = async (plan: { transfers: number; pairs: number }) => {
    const spec = { ...specOf(), parameters: { keys: 4, valueSize: 24, reference: plan } };
    connector = await mining(connect(spec, { worker: 0, credentials: folder }));
    return await mining(connector.reference?.(never) ?? Promise.reject(new Error("it does not compare")));
  };

  test("both send as many, in turns that alternate, and every transfer ends in a block", async () => {
    const found = await compare({ transfers: 20, pairs: 2 });
    expect(found).toMatchObject({ transfers: 20 });
    expect(found.problem).toBeUndefined();
    expect(found.windows.map(({ sender }) => sender)).toEqual(["raw", "connector", "connector", "raw"]);
    expect(chain.nonceOf(account)).toBe(6 * 20); // with a window of each to warm up
    expect(chain.pooled).toBe(0);
  });

  test("what a node refuses is said, and the account can be used afterwards", async () => {
    for (const node of chain.nodes) node.moods.push(...Array.from({ length: 5 }, (): Mood => "full"));
    const found = await compare({ transfers: 5, pairs: 1 });
    expect(found.problem).toMatch(/txpool/);
    for (const node of chain.nodes) node.moods.length = 0;
    if (connector === undefined) throw new Error("there is no connector");
    expect(await mining(operate(connector, "transfer"))).toMatchObject({ ok: true });
  });

  test("a raw sender that is refused leaves no gap in the nonces", async () => {
    const raw = seededRandom(7, 0).below(2); // its node; the connector's only account is at home at node 0, and warms up first
    chain.node(raw).moods.push(...(raw === 0 ? (["take", "take", "take", "full"] as const) : (["full"] as const)));
    const found = await compare({ transfers: 3, pairs: 1 });
    expect(found.problem).toContain("the raw sender was refused");
    for (const node of chain.nodes) node.moods.length = 0;
    if (connector === undefined) throw new Error("there is no connector");
    expect(await mining(operate(connector, "transfer"))).toMatchObject({ ok: true });
    expect(await mining(operate(connector, "transfer"))).toMatchObject({ ok: true });
  });

  test("only the first worker compares, and only where it is asked for", async () => {
    await writeFile(join(folder, "accounts"), "2");
    const asked = { keys: 4, valueSize: 24, reference: { transfers: 5, pairs: 1 } };
    for (const [worker, parameters] of [
      [1, asked],
      [0, { keys: 4, valueSize: 24 }],
    ] as const) {
      const spec = { ...specOf(["transfer"], 2), parameters };
      const other = await mining(connect(spec, { worker, credentials: folder }));
      expect(other.reference).toBeUndefined();
      await other.close();
    }
  });
});

describe("transactions", () => {
  test("one settles when a block holds it, and is named by its hash", async () => {
    const opened = await open();
    const transfer = operate(opened, "transfer");
    await until("it is with a node", () => chain.pooled === 1);
    chain.mine();
    const outcome = await transfer;
    expect(outcome).toMatchObject({ ok: true, attempts: 1 });
    expect(chain.head.transactions).toEqual([outcome.event]);
  });

  test("many of one account are under way at once, each with its nonce", async () => {
    const opened = await open();
    const outcomes = await mining(Promise.all(Array.from({ length: 50 }, () => operate(opened, "transfer"))));
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
    expect(new Set(outcomes.map(({ event }) => event)).size).toBe(50);
    expect(chain.nonceOf(account)).toBe(50);
    const calls = chain.nodes.flatMap((node) => node.calls);
    expect(calls).toContain("graphql");
    expect(calls, "blocks tell how all ended").not.toContain("eth_getTransactionReceipt");
  });

  test("where there is no GraphQL, a receipt is asked for once, when there is one", async () => {
    chain.graphql = false;
    const opened = await open();
    const outcomes = await mining(Promise.all([1, 2, 3].map(() => operate(opened, "transfer"))));
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
    const calls = chain.nodes.flatMap((node) => node.calls);
    expect(calls.filter((call) => call === "eth_getTransactionReceipt")).toHaveLength(3);
  });

  test("one that reverts fails, and its nonce is used up", async () => {
    const opened = await open(["deploy", "transfer"]);
    chain.reverting = "0x60";
    expect(await mining(operate(opened, "deploy"))).toMatchObject({ ok: false, code: "reverted" });
    expect(await mining(operate(opened, "transfer"))).toMatchObject({ ok: true });
  });

  test("a nonce that somebody else has used is counted anew", async () => {
    const opened = await open();
    chain.useNonce(account);
    const outcome = await mining(operate(opened, "transfer"));
    expect(outcome).toMatchObject({ ok: true, attempts: 2 });
    expect(chain.nonceOf(account)).toBe(2);
  });

  test("one that no pool has room for fails, and the next has its nonce", async () => {
    const opened = await open();
    mood("full");
    expect(await operate(opened, "transfer")).toMatchObject({ ok: false, code: "txpool_full" });
    for (const node of chain.nodes) node.moods.length = 0;
    expect(await mining(operate(opened, "transfer"))).toMatchObject({ ok: true });
    expect(chain.nonceOf(account)).toBe(1);
  });

  test("a node that takes one and says nothing costs another try, not another transaction", async () => {
    const opened = await open();
    chain.node(0).moods.push("silent");
    const outcome = await mining(operate(opened, "transfer"));
    expect(outcome).toMatchObject({ ok: true, attempts: 2, endpoint: 1 });
    expect(chain.nonceOf(account)).toBe(1);
  });

  test("one that a node took and lost is given to another", async () => {
    const opened = await open();
    chain.node(0).moods.push("drop");
    expect(await mining(operate(opened, "transfer"))).toMatchObject({ ok: true, endpoint: 0 });
    expect(chain.nonceOf(account)).toBe(1);
  });

  test("one that was lost after its time-out does not hold up those after it", async () => {
    const opened = await open();
    mood("drop");
    expect(await operate(opened, "transfer", 300)).toMatchObject({ ok: false, code: "timeout" });
    for (const node of chain.nodes) node.moods.length = 0;
    expect(await mining(operate(opened, "transfer"))).toMatchObject({ ok: true });
    expect(chain.nonceOf(account), "both are in blocks").toBe(2);
  });

  test("nodes that are gone are said, and nothing hangs", async () => {
    const opened = await open();
    await chain.close();
    const outcome = await operate(opened, "transfer", 400);
    expect(outcome).toMatchObject({ ok: false });
    expect(["unreachable", "reset", "timeout"]).toContain(outcome.code);
  });

  test("a stream that breaks off goes on where it was", async () => {
    const opened = await open();
    const transfer = operate(opened, "transfer");
    await until("it is with a node", () => chain.pooled === 1);
    for (const node of chain.nodes) node.breakStreams();
    chain.mine();
    chain.mine();
    expect(await transfer).toMatchObject({ ok: true });
  });

  test("closing ends what is under way", async () => {
    const opened = await open();
    const transfer = operate(opened, "transfer");
    await until("it is with a node", () => chain.pooled === 1);
    await opened.close();
    expect(await transfer).toMatchObject({ ok: false, code: "timeout" });
  });
});

describe("contracts", () => {
  const value = (text: string) => AbiCoder.defaultAbiCoder().encode(["bytes"], [Buffer.from(text)]);

  test("a call says what it writes, and final values are read from the member with the highest block", async () => {
    const opened = await open(["contract_call"]);
    const outcome = await mining(operate(opened, "contract_call"));
    expect(outcome).toMatchObject({ ok: true, write: { key: expect.stringMatching(/^[0-3]$/), lingering: false } });
    expect(outcome.write?.value).toHaveLength(24);
    const data: string[] = [];
    chain.answerCall = (call) => {
      data.push(call);
      return value(outcome.write?.value ?? "");
    };
    expect(await opened.readBack?.(outcome.write?.key ?? "")).toBe(outcome.write?.value);
    expect(data[0]).toMatch(new RegExp(`^${toHex(selectorOf("get(uint256)"))}0{63}[0-3]$`));
    chain.answerCall = () => value("");
    expect(await opened.readBack?.("0")).toBeNull();
  });

  test("a contract is made though the node that is asked has its block later than the one that told of it", async () => {
    chain.lateReceipts = 3;
    const opened = await open(["contract_call"]);
    expect(chain.lateReceipts).toBeLessThan(0);
    expect(await mining(operate(opened, "contract_call"))).toMatchObject({ ok: true });
  });

  test("a read fails where there is no such contract", async () => {
    const opened = await open(["contract_read"]);
    chain.answerCall = () => value("something");
    expect(await operate(opened, "contract_read")).toMatchObject({ ok: true });
    chain.answerCall = () => {
      throw new Error("execution reverted");
    };
    expect(await operate(opened, "contract_read")).toMatchObject({ ok: false, code: "refused" });
  });
});

describe("feeds", () => {
  /** Everything a feed tells, as text. */
  function recorded(cursor: string | null = null): { readonly feed: MemberFeed; readonly told: string[] } {
    const told: string[] = [];
    const delivery: FeedDelivery = {
      opened: (whole) => told.push(`opened ${whole}`),
      seen: (event, _at, replayed) => told.push(`${replayed ? "replayed" : "seen"} ${event}`),
      caughtUp: () => told.push("caught up"),
      reached: (place) => told.push(`reached ${place}`),
    };
    const [endpoint] = chain.endpoints;
    if (endpoint === undefined) throw new Error("no endpoint");
    return { told, feed: { endpoint, cursor, delivered: (take) => take(delivery) } };
  }

  test("a member tells of each block once, of a changed chain anew from the fork, and goes on after a break", async () => {
    const opened = await open();
    const first = recorded();
    const stream = followFeed(first.feed, new AbortController().signal);
    await until("the feed flows", () => first.told.includes("opened true"));
    const { event } = await mining(operate(opened, "transfer"));
    await until("it is told", () => first.told.includes("reached 1"));
    expect(first.told).toEqual(["opened true", "reached 0", `seen ${event}`, "reached 1"]);
    chain.fork();
    await until("the fork is told", () => first.told.includes("reached 2"));
    expect(first.told.slice(4)).toEqual([`seen ${event}`, "reached 1", "reached 2"]);
    chain.node(0).breakStreams();
    await expect(stream).rejects.toThrow("ended the stream");

    const missed = await mining(operate(opened, "transfer"));
    const over = new AbortController();
    const second = recorded("2");
    const again = followFeed(second.feed, over.signal);
    await until("what was missed is told", () => second.told.includes("reached 3"));
    expect(second.told).toEqual(["opened true", "reached 2", `replayed ${missed.event}`, "reached 3"]);
    over.abort();
    await expect(again).rejects.toThrow();
  });
});

describe("setting up", () => {
  test("no credentials, and fewer accounts than workers, are refused", async () => {
    await expect(connect(specOf(), { worker: 0 })).rejects.toThrow("gives no credentials");
    const second = connect(specOf(["transfer"], 2), { worker: 1, credentials: folder });
    await expect(second).rejects.toThrow("1 accounts leave none for worker 1 of 2");
  });

  test("private transactions need managers", async () => {
    const connecting = connect(specOf(["private_transfer"]), { worker: 0, credentials: folder });
    await expect(connecting).rejects.toThrow("have no private-transaction managers");
  });

  test("members whose consensus is not known are left out of the roles", async () => {
    expect(await roles(chain.endpoints)).toEqual([]);
  });
});
