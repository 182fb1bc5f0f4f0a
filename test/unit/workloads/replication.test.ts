import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ReplicationResult } from "../../../schema/results.ts";
import { ReplicationWatch } from "../../../workloads/core/replication.ts";
import { logNormal, uniformRandom } from "../../support/results.ts";
import { acknowledged, observeOf, StubPeer } from "./support/stub-peers.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const startUs = 1_700_000_000_000_000;
const never = new AbortController().signal;

interface Row {
  readonly event: string;
  readonly member: number;
  readonly accepted_us: bigint;
  readonly not_before_us: bigint | null;
  readonly seen_us: bigint | null;
  readonly state: string;
}

interface Stage {
  readonly clock: VirtualClock;
  readonly peers: readonly StubPeer[];
  readonly watch: ReplicationWatch;
}

/** Sets peers up, lets the test act, and waits for the end; times are µs after the start. */
async function observed(
  act: (stage: Stage) => void,
  { count = 2, deadlineMs = 1_000 } = {},
): Promise<{ rows: Row[]; result: ReplicationResult; endUs: number }> {
  const clock = new VirtualClock(startUs);
  const peers = Array.from({ length: count }, (_, ordinal) => new StubPeer(ordinal, clock));
  const endpoints = peers.map(({ endpoint }) => endpoint);
  const watch = new ReplicationWatch(
    { endpoints, deadlineMs, timeoutMs: 5_000, worker: 0 },
    observeOf(peers),
    clock,
    never,
  );
  act({ clock, peers, watch });
  const folder = await mkdtemp(join(tmpdir(), "orrery-replication-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "replication.parquet");
  let result: ReplicationResult | undefined;
  let endUs = 0;
  await clock.runUntil(
    (async () => {
      await new Promise<void>((resolve) => clock.schedule(startUs + lastActUs, resolve));
      await watch.settled(never);
      endUs = clock.nowUs() - startUs;
      result = await watch.stop();
    })(),
  );
  await watch.write(file);
  const rows = (await parquetReadObjects({ file: await asyncBufferFromFile(file) })) as unknown as Row[];
  if (result === undefined) {
    throw new Error("observation never ended");
  }
  return { rows, result, endUs };
}

/** Acts of a test lie before this. */
const lastActUs = 60_000_000;

function write({ clock, watch }: Stage, event: string, acceptedUs: number, acceptedBy = 0): void {
  clock.schedule(startUs + acceptedUs, () =>
    watch.completed(acknowledged(event, startUs + acceptedUs, acceptedBy), true),
  );
}

const afterUs = (row: Row | undefined): number | null =>
  row === undefined || row.seen_us === null ? null : Number(row.seen_us - row.accepted_us);
const at = (rows: Row[], event: string, member: number): Row | undefined =>
  rows.find((row) => row.event === event && row.member === member);

describe("what is seen", () => {
  test("every event has its time at every member, whether it was seen before or after its acknowledgement", async () => {
    const { rows, result, endUs } = await observed((stage) => {
      const random = uniformRandom(5);
      for (let index = 0; index < 500; index += 1) {
        const acceptedUs = 1_000_000 + index * 10_000;
        write(stage, `e${index}`, acceptedUs, index % 2);
        stage.peers[0]?.show(`e${index}`, startUs + acceptedUs - 1_000);
        stage.peers[1]?.show(`e${index}`, startUs + acceptedUs + Math.round(logNormal(random, 40_000, 0.5)));
      }
    });
    const random = uniformRandom(5);
    for (let index = 0; index < 500; index += 1) {
      expect(afterUs(at(rows, `e${index}`, 0))).toBe(-700); // its way took 300 µs of the 1000
      expect(afterUs(at(rows, `e${index}`, 1))).toBe(Math.round(logNormal(random, 40_000, 0.5)) + 300);
    }
    expect(rows).toHaveLength(1000);
    expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(["seen"]));
    expect(result).toMatchObject({ events: 500, duplicates: 0, unclaimed: 0 });
    expect(result.members.map(({ reports, streams, gaps }) => [reports, streams, gaps])).toEqual([
      [500, 1, []],
      [500, 1, []],
    ]);
    expect(endUs).toBe(lastActUs); // nothing was left to wait for
  });

  test("an event told twice counts once, at its first time; one that nobody wrote is left out", async () => {
    const { rows, result } = await observed((stage) => {
      write(stage, "a", 1_000_000);
      const [first, second] = stage.peers;
      first?.show("a", startUs + 1_000_000);
      second?.show("a", startUs + 1_005_000);
      first?.show("a", startUs + 1_002_000); // while the other has not shown it yet
      second?.show("stranger", startUs + 1_000_000);
    });
    expect(rows.map(afterUs)).toEqual([300, 5_300]);
    expect(result).toMatchObject({ events: 1, duplicates: 1, unclaimed: 1 });
  });

  test("one that a member never shows is missing there, and waited for until its deadline", async () => {
    const { rows, endUs } = await observed(
      (stage) => {
        write(stage, "a", lastActUs - 100_000);
        stage.peers[0]?.show("a", startUs + lastActUs - 90_000);
      },
      { deadlineMs: 2_000 },
    );
    expect(rows.map(({ state }) => state)).toEqual(["seen", "missing"]);
    expect(endUs).toBeGreaterThanOrEqual(lastActUs + 1_900_000);
    expect(endUs).toBeLessThan(lastActUs + 2_000_000);
  });

  test("observation that ends before the deadline cannot say that an event is missing", async () => {
    const clock = new VirtualClock(startUs);
    const peer = new StubPeer(0, clock);
    const plan = { endpoints: [peer.endpoint], deadlineMs: 60_000, timeoutMs: 1_000, worker: 0 };
    const watch = new ReplicationWatch(plan, observeOf([peer]), clock, never);
    watch.completed(acknowledged("a", startUs), true);
    await clock.runUntil(watch.settled(AbortSignal.abort()).then(() => watch.stop()));
    const folder = await mkdtemp(join(tmpdir(), "orrery-replication-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await watch.write(join(folder, "file"));
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(join(folder, "file")) });
    expect(rows).toMatchObject([{ event: "a", state: "unknown", seen_us: null }]);
  });
});

describe("a feed that breaks off", () => {
  test("without a place to go on from, what may have been missed is unknown; what came before and after is not", async () => {
    const { rows, result } = await observed((stage) => {
      const [, second] = stage.peers;
      if (second !== undefined) {
        second.whole = false;
        second.breakOff(startUs + 10_000_000, startUs + 12_000_000);
      }
      ["before", "during", "after"].forEach((event, index) => {
        const acceptedUs = 5_000_000 + index * 6_000_000;
        write(stage, event, acceptedUs);
        for (const peer of stage.peers) {
          peer.show(event, startUs + acceptedUs + 1_000);
        }
      });
      write(stage, "lost", 30_000_000);
      stage.peers[0]?.show("lost", startUs + 30_001_000);
    });
    const states = ["before", "during", "after", "lost"].map((event) => at(rows, event, 1)?.state);
    expect(states).toEqual(["seen", "unknown", "seen", "missing"]);
    const gaps = result.members[1]?.gaps ?? [];
    expect(gaps).toHaveLength(1);
    expect(gaps[0]).toMatchObject({ why: "refused by the test" });
    // From the last thing that was heard: the stream may have been dead since.
    expect(gaps[0]?.fromMs).toBe((startUs + 5_001_300) / 1000);
    expect(gaps[0]?.toMs).toBeGreaterThanOrEqual((startUs + 12_000_000) / 1000);
    expect(gaps[0]?.toMs).toBeLessThan((startUs + 12_200_000) / 1000);
    expect(result.members[0]?.gaps).toEqual([]);
  });

  test("with one, nothing is missed, and the member's own times stand for what is told late", async () => {
    const { rows, result } = await observed(
      (stage) => {
        const [, second] = stage.peers;
        if (second !== undefined) {
          second.offsetUs = -7_654_321; // as wrong as clocks get
          second.breakOff(startUs + 10_000_000, startUs + 12_000_000);
        }
        for (const [event, acceptedUs] of [
          ["before", 9_000_000],
          ["during", 11_000_000],
        ] as const) {
          write(stage, event, acceptedUs);
          for (const peer of stage.peers) {
            peer.show(event, startUs + acceptedUs + 40_000);
          }
        }
      },
      { deadlineMs: 5_000 },
    );
    expect(rows.map(afterUs)).toEqual([40_300, 40_300, 40_300, 40_300]);
    expect(result.members[1]).toMatchObject({ streams: 2, gaps: [] });
  });

  test("one that tells how far it is, instead of each event, bounds the time by silence and return", async () => {
    const clock = new VirtualClock(startUs);
    const { endpoint } = new StubPeer(0, clock);
    const plan = { endpoints: [endpoint], deadlineMs: 9_000, timeoutMs: 1_000, worker: 0 };
    let streams = 0;
    const until = (us: number) => new Promise<void>((resolve) => clock.schedule(startUs + us, resolve));
    const watch = new ReplicationWatch(
      plan,
      async (feed, signal) => {
        streams += 1;
        expect(feed.cursor).toBe(streams === 1 ? null : "2");
        feed.delivered((delivery) => {
          delivery.opened(true);
          const upTo = streams === 1 ? 1 : 4;
          delivery.caughtUp((event) => Number(event) <= upTo, true);
        });
        if (streams === 1) {
          await until(1_000_000);
          feed.delivered((delivery) => {
            delivery.seen("2");
            delivery.reached("2");
          });
          await until(3_000_000);
          throw new Error("gone");
        }
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      },
      clock,
      never,
    );
    for (const [event, us] of [
      ["2", 900_000],
      ["3", 2_000_000],
      ["4", 5_000_000],
    ] as const) {
      clock.schedule(startUs + us, () => watch.completed(acknowledged(event, startUs + us), true));
    }
    await clock.runUntil(
      until(5_100_000)
        .then(() => watch.settled(never))
        .then(() => watch.stop()),
    );
    const folder = await mkdtemp(join(tmpdir(), "orrery-replication-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await watch.write(join(folder, "file"));
    const rows = (await parquetReadObjects({
      file: await asyncBufferFromFile(join(folder, "file")),
    })) as unknown as Row[];
    expect(rows.map(({ state }) => state)).toEqual(["seen", "seen", "seen"]);
    expect(rows.map(afterUs)).toEqual([100_000, 1_100_000, -1_900_000]);
    expect(rows.map((row) => row.not_before_us)).toEqual([
      null,
      BigInt(startUs + 1_000_000),
      BigInt(startUs + 1_000_000),
    ]);
  });
});

test("whatever the order and the breaks, each event has one row of each member, and is seen where it was shown", async () => {
  const eventTimes = fc.array(
    fc.record({
      acceptedMs: fc.integer({ min: 0, max: 5_000 }),
      delays: fc.array(fc.integer({ min: -50, max: 900 }), { minLength: 3, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 40 },
  );
  const cut = fc.record({
    member: fc.nat(2),
    fromMs: fc.integer({ min: 0, max: 5_000 }),
    forMs: fc.integer({ min: 1, max: 900 }),
  });
  await fc.assert(
    fc.asyncProperty(eventTimes, fc.array(cut, { maxLength: 3 }), async (events, cuts) => {
      const { rows } = await observed(
        (stage) => {
          for (const { member, fromMs, forMs } of cuts) {
            stage.peers[member]?.breakOff(startUs + fromMs * 1_000, startUs + (fromMs + forMs) * 1_000);
          }
          events.forEach(({ acceptedMs, delays }, index) => {
            write(stage, `e${index}`, 1_000_000 + acceptedMs * 1_000);
            stage.peers.forEach((peer, member) => {
              peer.show(`e${index}`, startUs + 1_000_000 + (acceptedMs + (delays[member] ?? 0)) * 1_000);
            });
          });
        },
        { count: 3 },
      );
      expect(rows).toHaveLength(events.length * 3);
      expect(rows.filter(({ state }) => state !== "seen")).toEqual([]);
      for (const row of rows) {
        const truthUs = (events[Number(row.event.slice(1))]?.delays[row.member] ?? 0) * 1_000 + 300;
        const upperUs = afterUs(row) ?? Number.NaN;
        const lowerUs = row.not_before_us === null ? upperUs : Number(row.not_before_us - row.accepted_us);
        expect(upperUs).toBeGreaterThanOrEqual(truthUs);
        expect(lowerUs).toBeLessThanOrEqual(truthUs);
      }
    }),
    { numRuns: 25 },
  );
});
