import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { ReplicationResult } from "../../../schema/results.ts";
import { Signer } from "../../../workloads/ceramic/did.ts";
import { modelDefinition } from "../../../workloads/ceramic/documents.ts";
import { firstToken, followDocuments } from "../../../workloads/ceramic/feed.ts";
import { CeramicPeer } from "../../../workloads/ceramic/peer.ts";
import {
  commitId,
  documentChange,
  documentGenesis,
  modelGenesis,
  streamId,
  streamTypes,
} from "../../../workloads/ceramic/streams.ts";
import { WriteOrder } from "../../../workloads/ceramic/write-order.ts";
import type { Clock } from "../../../workloads/core/clock.ts";
import type { MemberFeed } from "../../../workloads/core/connector.ts";
import { ReplicationWatch } from "../../../workloads/core/replication.ts";
import { logNormal, uniformRandom } from "../../support/results.ts";
import { StubCeramicNetwork } from "./support/stub-ceramic.ts";
import { acknowledged } from "./support/stub-peers.ts";

/** Time that the test sets; what waits for a time is woken by the machine's own timers. */
class SetClock implements Clock {
  us = 1_700_000_000_000_000;
  nowUs(): number {
    return this.us;
  }
  schedule(_atUs: number, callback: () => void): () => void {
    const timer = setTimeout(callback, 2);
    return () => clearTimeout(timer);
  }
}

const admin = new Signer(Buffer.alloc(32, 7));
const model = modelGenesis(admin, modelDefinition("m", "small"));
const modelId = streamId(streamTypes.model, model.cid);
const patience = { timeout: 30_000, interval: 2 };

let network: StubCeramicNetwork;
let clock: SetClock;
let order: WriteOrder;
/** By ordinal: places in the feed that the worker has got to, over whichever stream. */
let reached: Set<string>[];
let watch: ReplicationWatch;

beforeEach(async () => {
  network = await new StubCeramicNetwork(2).listen();
  clock = new SetClock();
  network.nowMs = () => clock.us / 1000;
  order = new WriteOrder();
  reached = [new Set(), new Set()];
  const endpoints = network.peers.map(({ endpoint }) => endpoint);
  const first = firstToken(clock.us / 1000);
  const observe = (feed: MemberFeed, signal: AbortSignal) => followDocuments(counted(feed), order, first, signal);
  const plan = { endpoints, deadlineMs: 10_000, timeoutMs: 1_000, worker: 0 };
  const never = new AbortController().signal;
  watch = new ReplicationWatch(plan, observe, clock, never);
  await listening(0);
  await listening(1);
  clock.us += 5_000_000;
});

afterEach(() => network.stop());

function counted(feed: MemberFeed): MemberFeed {
  return {
    endpoint: feed.endpoint,
    get cursor() {
      return feed.cursor;
    },
    delivered: (take) =>
      feed.delivered((delivery) =>
        take({
          ...delivery,
          reached: (cursor) => {
            delivery.reached(cursor);
            reached[feed.endpoint.ordinal]?.add(cursor);
          },
        }),
      ),
  };
}

const listening = (ordinal: number): Promise<void> =>
  vi.waitFor(() => expect(network.peer(ordinal).openFeeds).toBe(1), patience);

/** Makes a document at the first peer; nobody is told of it yet. */
async function created(
  index: number,
): Promise<{ id: string; event: string; genesis: ReturnType<typeof documentGenesis> }> {
  const genesis = documentGenesis(admin, modelId, { red: 1 }, Buffer.from(`document-${index}`));
  const id = streamId(streamTypes.document, genesis.cid);
  const event = commitId(streamTypes.document, genesis.cid, genesis.cid);
  order.add(id, event);
  const peer = new CeramicPeer(network.peer(0).endpoint);
  expect(await peer.create(streamTypes.document, genesis, { limitMs: 20_000 })).toMatchObject({ ok: true });
  await peer.close();
  return { id, event, genesis };
}

async function result(): Promise<{ result: ReplicationResult; rows: Row[] }> {
  const folder = await mkdtemp(join(tmpdir(), "orrery-ceramic-feed-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "replication.parquet");
  const ended = await watch.stop();
  await watch.write(file);
  return {
    result: ended,
    rows: (await parquetReadObjects({ file: await asyncBufferFromFile(file) })) as unknown as Row[],
  };
}

interface Row {
  readonly event: string;
  readonly member: number;
  readonly accepted_us: bigint;
  readonly seen_us: bigint | null;
  readonly state: string;
}

const timesAt = (rows: readonly Row[], member: number): number[] =>
  rows
    .filter((row) => row.member === member && row.seen_us !== null)
    .map((row) => Number((row.seen_us ?? 0n) - row.accepted_us) / 1000)
    .sort((a, b) => a - b);

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;

/** Times at the second peer against those the test made; for a third of them its feed is broken off. */
test("percentiles are those of the injected delays to 2 ms or 2 %, over a feed that breaks off and goes on", async () => {
  const random = uniformRandom(11);
  const events = 300;
  const truth: number[] = [];
  const occurrences: { readonly atUs: number; readonly act: () => Promise<void> | void }[] = [];
  let accepted = clock.us;
  for (let index = 0; index < events; index += 1) {
    const { id, event } = await created(index);
    accepted += 20_000;
    const acceptedUs = accepted;
    const delayUs = Math.round(logNormal(random, 300_000, 0.6));
    truth.push(delayUs / 1000);
    occurrences.push(
      { atUs: acceptedUs, act: () => watch.completed(acknowledged(event, acceptedUs), true) },
      { atUs: acceptedUs, act: () => shown(0, id) },
      { atUs: acceptedUs + delayUs, act: () => shown(1, id) },
    );
  }
  const breakUs = clock.us + 2_000_000;
  occurrences.push({ atUs: breakUs, act: () => network.peer(1).close(true) });
  occurrences.push({
    atUs: breakUs + 2_000_000,
    act: async () => {
      network.peer(1).close(false);
      await listening(1);
      await vi.waitFor(() => expect(reached[1]?.size).toBe(told[1]), patience);
    },
  });
  const told = [0, 0];
  async function shown(ordinal: number, id: string): Promise<void> {
    network.peer(ordinal).show(id);
    told[ordinal] = (told[ordinal] ?? 0) + 1;
    const cut = ordinal === 1 && clock.us >= breakUs && clock.us < breakUs + 2_000_000;
    if (!cut) {
      await vi.waitFor(() => expect(reached[ordinal]?.size).toBe(told[ordinal]), patience);
    }
  }
  for (const { atUs, act } of occurrences.sort((a, b) => a.atUs - b.atUs)) {
    clock.us = atUs;
    await act();
  }
  const { result: ended, rows } = await result();
  const seen = timesAt(rows, 1);
  const sorted = truth.sort((a, b) => a - b);
  expect(seen).toHaveLength(events);
  expect(ended.members[1]?.streams).toBeGreaterThan(1);
  for (const share of [0.5, 0.9, 0.95, 0.99, 0.999]) {
    const real = percentile(sorted, share);
    expect(Math.abs(percentile(seen, share) - real), `p${share}`).toBeLessThanOrEqual(Math.max(2, 0.02 * real));
  }
}, 60_000);

test("a change that is overtaken shows with the one that overtook it; what is told twice counts once", async () => {
  const { id, event, genesis } = await created(0);
  const accepted = clock.us;
  const changes = [];
  let tip = genesis.cid;
  const peer = new CeramicPeer(network.peer(0).endpoint);
  for (const red of [2, 3]) {
    const commit = documentChange(admin, genesis.cid, tip, [{ op: "replace", path: "/red", value: red }]);
    const name = commitId(streamTypes.document, genesis.cid, commit.cid);
    order.add(id, name);
    expect(await peer.change(id, commit, { limitMs: 20_000 })).toMatchObject({ ok: true });
    tip = commit.cid;
    changes.push(name);
  }
  await peer.close();
  for (const name of [event, ...changes]) {
    watch.completed(acknowledged(name, accepted), true);
  }
  clock.us += 250_000;
  for (const ordinal of [0, 1]) {
    network.peer(ordinal).show(id);
    network.peer(ordinal).show(id); // js-ceramic tells each new stream twice
    await vi.waitFor(() => expect(reached[ordinal]?.size).toBe(2), patience);
  }
  const { result: ended, rows } = await result();
  expect(rows).toHaveLength(6);
  expect(timesAt(rows, 0)).toEqual([250, 250, 250]);
  expect(timesAt(rows, 1)).toEqual([250, 250, 250]);
  expect(ended).toMatchObject({ events: 3, duplicates: 0, unclaimed: 0 });
});

test("a last write that the feed keeps to itself is asked for, and gets the time it had", async () => {
  const before = await created(0);
  for (const ordinal of [0, 1]) {
    network.peer(ordinal).show(before.id);
    await vi.waitFor(() => expect(reached[ordinal]?.size).toBe(1), patience);
  }
  const last = await created(1);
  network.peer(1).stuck = true;
  const acceptedUs = clock.us;
  watch.completed(acknowledged(before.event, acceptedUs), true);
  watch.completed(acknowledged(last.event, acceptedUs), true);
  clock.us += 40_000;
  network.peer(0).show(last.id);
  network.peer(1).show(last.id);
  await vi.waitFor(() => expect(reached[0]?.size).toBe(2), patience);
  clock.us += 3_000_000;
  await vi.waitFor(() => expect(reached[1]?.size).toBe(2), patience);
  const { rows } = await result();
  expect(timesAt(rows, 1)).toEqual([0, 40]);
});

test("a peer that was never reached leaves its sightings unknown; one that shows nothing leaves them missing", async () => {
  await watch.stop();
  const endpoints = network.peers.map(({ endpoint }) => endpoint);
  await network.peer(1).stop();
  const observe = (feed: MemberFeed, signal: AbortSignal) =>
    followDocuments(counted(feed), order, firstToken(clock.us / 1000), signal);
  const plan = { endpoints, deadlineMs: 10_000, timeoutMs: 1_000, worker: 0 };
  watch = new ReplicationWatch(plan, observe, clock, new AbortController().signal);
  await listening(0);
  const { id, event } = await created(1);
  network.peer(0).show(id); // so that the stream is known to flow
  await vi.waitFor(() => expect(reached[0]?.size).toBe(1), patience);
  clock.us += 1_000_000;
  watch.completed(acknowledged(event, clock.us), true);
  watch.completed(acknowledged("never", clock.us), true);
  clock.us += 20_000_000;
  const { rows } = await result();
  const states = rows.map(({ event: name, member, state }) => `${name === event ? "shown" : name} ${member} ${state}`);
  expect(states).toEqual(["shown 0 seen", "shown 1 unknown", "never 0 missing", "never 1 unknown"]);
  await network.peer(1).listen();
});
