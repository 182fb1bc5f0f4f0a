import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { RunSpec } from "../../../schema/run.ts";
import { lookAtAnchors, sampleOf, sampleSize } from "../../../workloads/ceramic/anchors.ts";
import { connect } from "../../../workloads/ceramic/connector.ts";
import { CeramicPeer } from "../../../workloads/ceramic/peer.ts";
import { countIn, storedEvents } from "../../../workloads/ceramic/recon.ts";
import type { Connector } from "../../../workloads/core/connector.ts";
import { watchHeld } from "../../../workloads/core/held.ts";
import { seededRandom } from "../../../workloads/core/random.ts";
import { StubCeramicNetwork } from "./support/stub-ceramic.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

let network: StubCeramicNetwork;
const never = new AbortController().signal;

beforeEach(async () => {
  network = await new StubCeramicNetwork(2).listen();
});

afterEach(() => network.stop());

async function connected(run: string, parameters: object = {}, worker = 0): Promise<Connector> {
  const credentials = await mkdtemp(join(tmpdir(), "orrery-ceramic-"));
  onTestFinished(() => rm(credentials, { recursive: true }));
  await writeFile(join(credentials, "admin-seed"), "07".repeat(32));
  const spec = {
    run,
    seed: 1,
    operations: { create: 1 },
    parameters: { authors: 2, documents: 0, shapes: ["small"], ...parameters },
    endpoints: network.peers.map(({ endpoint }) => endpoint),
  } as unknown as RunSpec;
  const connector = await connect(spec, { worker, credentials });
  onTestFinished(() => connector.close());
  return connector;
}

async function create(connector: Connector, count: number): Promise<string[]> {
  const keys: string[] = [];
  for (let sequence = 0; sequence < count; sequence += 1) {
    const context = { sequence, random: seededRandom(sequence), headers: {}, remainingMs: () => 20_000 };
    const outcome = await connector.operations.create?.(context);
    expect(outcome?.ok).toBe(true);
    keys.push(outcome?.write?.key ?? "");
  }
  return keys;
}

describe("what members hold", () => {
  test("is the run's own documents: those of an earlier run are not among them", async () => {
    const first = await connected("r1");
    await create(first, 5);
    const second = await connected("r2");
    await create(second, 2);
    const [endpoint] = network.peers.map((peer) => peer.endpoint);
    expect(endpoint && (await first.held?.(endpoint))).toBe(5);
    expect(endpoint && (await second.held?.(endpoint))).toBe(2);
  });

  test("is told by one worker where models are shared, by each where they are not", async () => {
    expect((await connected("r1", {}, 1)).held).toBeUndefined();
    expect((await connected("r1", { model: "author" }, 1)).held).toBeDefined();
  });

  test("is asked for when the measure phase begins and when it ends; who does not answer has no count", async () => {
    const clock = new VirtualClock();
    const endpoints = network.peers.map((peer) => peer.endpoint);
    const asked: [number, number][] = [];
    const held = async ({ ordinal }: { ordinal: number }): Promise<number> => {
      asked.push([ordinal, clock.nowUs()]);
      if (ordinal === 1 && clock.nowUs() > 6_000_000) {
        throw new Error("gone");
      }
      return clock.nowUs() / 1e6;
    };
    const watched = watchHeld(held, endpoints, clock, { fromUs: 5_000_000, toUs: 25_000_000 }, never);
    await clock.runUntil(watched);
    expect(await watched).toEqual([
      { ordinal: 0, before: 5, after: 25, seconds: 20 },
      { ordinal: 1, before: 5, after: null, seconds: 20 },
    ]);
    expect(asked).toHaveLength(4);
  });

  test("of ceramic-one is a counter among its metrics, under its new name or its old one", async () => {
    const name = "ceramic_one_store_key_value_insert_count_total";
    expect(countIn(`# TYPE ${name} counter\n${name} 12\nother 3\n`)).toBe(12);
    expect(countIn(`${name}{a="b"} 2\n${name}{a="c"} 5\n`)).toBe(7);
    expect(countIn("ceramic_store_key_value_insert_count_total 4\n")).toBe(4);
    expect(() => countIn("up 1\n")).toThrow(/there is no ceramic_one_store/);
    await expect(storedEvents({ group: "g", ordinal: 0, pod: "p", url: "http://127.0.0.1:1" })).rejects.toThrow(
      /metrics of p/,
    );
  });
});

describe("anchors", () => {
  test("are looked at in a sample that knows a share to 2 % with 99 % confidence", () => {
    expect([1, 100, 10_000, 1_000_000].map(sampleSize)).toEqual([1, 98, 2_932, 4_131]);
    expect(sampleSize(0)).toBe(0);
    fc.assert(
      fc.property(fc.array(fc.integer(), { maxLength: 50 }), fc.nat(60), fc.nat(), (values, size, seed) => {
        const list = values.map((value, index) => `${index} ${value}`);
        const sample = sampleOf(list, size, seededRandom(seed));
        expect(new Set(sample).size).toBe(Math.min(size, list.length));
        expect(sample.every((one) => list.includes(one))).toBe(true);
        expect(sampleOf(list, size, seededRandom(seed))).toEqual(sample);
      }),
    );
  });

  test("that failed, and documents that the last peer lacks, are told from those that are anchored or pending", async () => {
    const keys = await create(await connected("r1", { anchors: { wait: 0 } }), 8);
    const status = ["ANCHORED", "ANCHORED", "FAILED", "PENDING", "PROCESSING", "NOT_REQUESTED", "ANCHORED", "ANCHORED"];
    keys.forEach((key, index) => {
      const stream = network.streams.get(key);
      expect(stream).toBeDefined();
      Object.assign(stream ?? {}, { anchorStatus: status[index] });
    });
    network.peer(1).missing.add(keys[7] ?? "");
    const peers = network.peers.map(({ endpoint }) => new CeramicPeer(endpoint));
    onTestFinished(async () => {
      await Promise.all(peers.map((peer) => peer.close()));
    });
    expect(await lookAtAnchors(keys, peers, { waitMs: 0, seed: 1, stop: never })).toEqual({
      created: 8,
      sampled: 8,
      unread: 1,
      anchored: 3,
      pending: 2,
      failed: 1,
      notRequested: 1,
    });
  });

  test("are waited for no longer than one is on its way", async () => {
    const connector = await connected("r1", { anchors: { wait: 3_600 } });
    const keys = await create(connector, 3);
    for (const key of keys) Object.assign(network.streams.get(key) ?? {}, { anchorStatus: "ANCHORED" });
    expect(await connector.lookAtAnchors?.(never)).toMatchObject({ sampled: 3, unread: 0, anchored: 3, pending: 0 });
  });

  test("are looked at only where the run asks for it", async () => {
    expect((await connected("r1")).lookAtAnchors).toBeUndefined();
    const connector = await connected("r1", { anchors: { wait: 0 } });
    await create(connector, 3);
    expect(await connector.lookAtAnchors?.(never)).toMatchObject({ created: 3, sampled: 3, unread: 0, pending: 3 });
  });
});
