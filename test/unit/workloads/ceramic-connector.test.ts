import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { RunSpec } from "../../../schema/run.ts";
import { connect, roles } from "../../../workloads/ceramic/connector.ts";
import { Signer } from "../../../workloads/ceramic/did.ts";
import { modelDefinition } from "../../../workloads/ceramic/documents.ts";
import { modelGenesis, streamId, streamTypes } from "../../../workloads/ceramic/streams.ts";
import { WriteOrder } from "../../../workloads/ceramic/write-order.ts";
import type { Connector, Outcome } from "../../../workloads/core/connector.ts";
import { seededRandom } from "../../../workloads/core/random.ts";
import { StubCeramicNetwork } from "./support/stub-ceramic.ts";

let network: StubCeramicNetwork;

beforeEach(async () => {
  network = await new StubCeramicNetwork(2).listen();
});

afterEach(() => network.stop());

async function connected(operations: RunSpec["operations"], parameters: object, worker = 0): Promise<Connector> {
  const credentials = await mkdtemp(join(tmpdir(), "orrery-ceramic-"));
  onTestFinished(() => rm(credentials, { recursive: true }));
  await writeFile(join(credentials, "admin-seed"), "07".repeat(32));
  const spec = {
    run: "r1",
    seed: 1,
    operations,
    parameters,
    endpoints: network.peers.map(({ endpoint }) => endpoint),
  } as unknown as RunSpec;
  const connector = await connect(spec, { worker, credentials });
  onTestFinished(() => connector.close());
  return connector;
}

/** Does an operation; the same sequence draws the same. */
async function perform(connector: Connector, name: string, sequence: number, limitMs = 20_000): Promise<Outcome> {
  const operation = connector.operations[name];
  if (operation === undefined) {
    throw new Error(`no operation ${name}`);
  }
  const endMs = performance.now() + limitMs;
  return await operation({
    sequence,
    random: seededRandom(1, sequence),
    headers: {},
    remainingMs: () => endMs - performance.now(),
  });
}

describe("keys and streams", () => {
  test("a did:key is that of its specification's test vector", () => {
    expect(new Signer(new Uint8Array(32)).did).toBe("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp");
  });

  test("a model has the id js-ceramic 6.11.0 gave it", () => {
    const genesis = modelGenesis(new Signer(Buffer.alloc(32, 7)), modelDefinition("m1795283953614", "large"));
    expect(streamId(streamTypes.model, genesis.cid)).toBe(
      "kjzl6hvfrbw6c8rs0rf5az00kf1l2olpctk078ghg621e7b2k8ybzt460xnfo52",
    );
  });
});

describe("before the load", () => {
  test("models are made and every peer indexes them; authors have documents of each shape", async () => {
    await connected({ update: 1 }, { authors: 3, documents: 2 });
    const types = [...network.streams.values()].map(({ type }) => type);
    expect(types.filter((type) => type === streamTypes.model)).toHaveLength(2);
    expect(types.filter((type) => type === streamTypes.document)).toHaveLength(12);
    expect(network.indexed.size).toBe(4);
  });

  test("workers share models, and authors may have their own", async () => {
    await connected({ create: 1 }, { authors: 2, documents: 0 });
    await connected({ create: 1 }, { authors: 2, documents: 0 }, 1);
    expect(network.streams.size).toBe(2);
    await connected({ create: 1 }, { authors: 2, documents: 0, model: "author" });
    expect(network.streams.size).toBe(6);
  });

  test.each([
    ["operations without documents", { update: 1 }, { documents: 0 }, /update needs documents/],
    ["queries without numbers", { query: 1 }, { shapes: ["small"] }, /query needs documents of the shape/],
    ["ipfs without its RPC", { ipfs_get: 1 }, {}, /gives no IPFS RPC of ceramic-0/],
  ])("%s are refused", async (_, operations, parameters, message) => {
    await expect(connected(operations, parameters)).rejects.toThrow(message);
  });

  test("credentials are needed", async () => {
    const spec = { run: "r", seed: 1, operations: { create: 1 }, parameters: {}, endpoints: [] } as unknown as RunSpec;
    await expect(connect(spec, { worker: 0 })).rejects.toThrow(/gives no credentials/);
  });
});

describe("operations", () => {
  test("create, update, read and query succeed at the author's peer, and say what they wrote", async () => {
    const connector = await connected({ create: 1, update: 1, read: 1, query: 1 }, { authors: 2, shapes: ["large"] });
    for (let sequence = 0; sequence < 12; sequence += 1) {
      for (const name of ["create", "update", "read", "query"]) {
        const outcome = await perform(connector, name, sequence);
        expect(outcome, name).toMatchObject({ ok: true, attempts: 1 });
        expect([0, 1]).toContain(outcome.endpoint);
        if (outcome.write !== undefined) {
          expect(outcome.event).toMatch(/^k/);
          expect(await connector.readBack?.(outcome.write.key)).toBe(outcome.write.value);
        }
      }
    }
  });

  test("each worker keeps to the peer of its number, or all to the first", async () => {
    const own = await connected({ create: 1 }, { documents: 0, peers: "worker" }, 1);
    const first = await connected({ create: 1 }, { documents: 0, peers: "first" }, 1);
    expect((await perform(own, "create", 1)).endpoint).toBe(1);
    expect((await perform(first, "create", 2)).endpoint).toBe(0);
  });

  test("operations of one author never overlap, and one that finds none in time says so", async () => {
    const connector = await connected({ update: 1 }, { authors: 1, documents: 1 });
    const outcomes = await Promise.all([1, 2, 3, 4, 5].map((sequence) => perform(connector, "update", sequence)));
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true, true, true]);
    const [first, second] = await Promise.all([perform(connector, "update", 6), perform(connector, "update", 7, 0)]);
    expect(first?.ok).toBe(true);
    expect(second).toMatchObject({ ok: false, code: "no_author", attempts: 0 });
  });

  test("a newest commit that is another than the known one is looked up once", async () => {
    const connector = await connected({ update: 1 }, { authors: 1, shapes: ["small"], documents: 1 });
    const [stream] = [...network.streams.values()].filter(({ type }) => type === streamTypes.document);
    const other = (await perform(connector, "update", 1)).ok && stream?.log.at(-2);
    stream?.log.push(other || stream.genesis); // as if somebody else had added to it
    expect(await perform(connector, "update", 2)).toMatchObject({ ok: true, attempts: 2, write: { lingering: true } });
  });

  test("a peer that refuses fails the operation with its status; afterwards it works again", async () => {
    const connector = await connected({ update: 1, read: 1 }, { authors: 1, shapes: ["small"] });
    network.peer(0).refusing = true;
    expect(await perform(connector, "update", 1)).toMatchObject({ ok: false, code: "http_500", endpoint: 0 });
    network.peer(0).refusing = false;
    expect(await perform(connector, "update", 2)).toMatchObject({ ok: true });
  });

  test("content that a peer lost is told as stale", async () => {
    const connector = await connected({ read: 1 }, { authors: 1, shapes: ["small"] });
    for (const stream of network.streams.values()) {
      stream.content = { ...stream.content, red: 300 };
    }
    expect(await perform(connector, "read", 1)).toMatchObject({ ok: false, code: "stale" });
  });

  test("the same seed and run write the same", async () => {
    const write = async (): Promise<Outcome> => {
      const connector = await connected({ create: 1 }, { documents: 0 });
      return await perform(connector, "create", 5);
    };
    const first = await write();
    expect(first.event).toBeDefined();
    expect(await write()).toEqual(first);
  });

  test("peers that answer have the role peer", async () => {
    const endpoints = network.peers.map(({ endpoint }) => endpoint);
    expect(await roles(endpoints)).toEqual(endpoints.map(({ pod, ordinal }) => ({ pod, ordinal, role: "peer" })));
    await network.peer(1).stop();
    expect(await roles(endpoints)).toHaveLength(1);
    await network.peer(1).listen();
  });
});

test("what came before a stream's newest state shows with it, once; what others wrote is left out", () => {
  const order = new WriteOrder();
  for (const [stream, event] of [
    ["s", "s1"],
    ["s", "s2"],
    ["t", "t1"],
    ["s", "s3"],
  ] as const) {
    order.add(stream, event);
  }
  expect(order.shownBy(0, "s2")).toEqual(["s1", "s2"]);
  expect(order.shownBy(1, "s3")).toEqual(["s1", "s2", "s3"]);
  expect(order.shownBy(0, "s3")).toEqual(["s3"]);
  expect(order.shownBy(0, "s3")).toEqual([]);
  expect(order.shownBy(0, "s1")).toEqual([]);
  expect(order.shownBy(0, "other")).toEqual([]);
});
