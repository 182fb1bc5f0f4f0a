import { messageOf } from "../../schema/errors.ts";
import type { ReplicationResult } from "../../schema/results.ts";
import type { RunSpec } from "../../schema/run.ts";
import { type Clock, sleepUntil } from "./clock.ts";
import type { Connector, FeedDelivery } from "./connector.ts";
import type { Completed } from "./load.ts";
import { log } from "./log.ts";
import { MemberWatch, type Sighting } from "./member-watch.ts";
import { ReplicationLog } from "./replication-log.ts";

/** Before a feed that broke off is opened again. */
const pauseUs = 100_000;
/** An event that no write claims for this long after the longest operation is not one of this worker's. */
const unclaimedUs = 10_000_000;
/** How often the end of the last replication is looked for. */
const sweepUs = 20_000;

export interface ReplicationPlan extends Pick<RunSpec, "endpoints" | "timeoutMs"> {
  readonly worker: number;
  /** After its acknowledgement, an event is to be seen everywhere within this. */
  readonly deadlineMs: number;
}

type Observe = NonNullable<Connector["observe"]>;

/** What was seen of an event before its write was acknowledged; by member. */
interface Early {
  readonly firstUs: number;
  readonly sightings: (Sighting | undefined)[];
}

interface Covering {
  readonly covers: Parameters<FeedDelivery["caughtUp"]>[0];
  readonly at: Sighting;
}

/**
 * Follows this worker's acknowledged writes over the feeds of all members: when each came to show where.
 *
 * Every worker watches every member for its own writes only: acknowledgement and sighting are then stamped by one
 * clock, and no offset between workers comes in. Where a feed can be asked for one worker's events alone, as that of
 * kv, this costs no more than sharing members out.
 */
export class ReplicationWatch {
  readonly #plan: ReplicationPlan;
  readonly #observe: Observe;
  readonly #clock: Clock;
  readonly #watches: readonly MemberWatch[];
  readonly #log: ReplicationLog;
  /** Rows of events that are yet to be seen at some member. */
  readonly #outstanding = new Map<string, number>();
  /** In the order of their first sighting. */
  readonly #early = new Map<string, Early>();
  /** By member. */
  readonly #coverings: Covering[][];
  readonly #ended = new AbortController();
  readonly #following: Promise<unknown>;
  #lastAcceptedUs = Number.NEGATIVE_INFINITY;
  #duplicates = 0;
  #unclaimed = 0;
  #endUs = Number.POSITIVE_INFINITY;

  /**
   * Opens the feeds; the load need not wait for them.
   *
   * @param over Closes them whatever else happens.
   */
  constructor(plan: ReplicationPlan, observe: Observe, clock: Clock, over: AbortSignal) {
    this.#plan = plan;
    this.#observe = observe;
    this.#clock = clock;
    this.#coverings = plan.endpoints.map(() => []);
    this.#log = new ReplicationLog(
      plan.worker,
      plan.endpoints.map(({ ordinal }) => ordinal),
    );
    this.#watches = plan.endpoints.map(
      (endpoint, member) =>
        new MemberWatch(endpoint, clock, {
          seen: (event, at) => this.#seen(member, event, at),
          caughtUp: (covers, at) => this.#caughtUp(member, covers, at),
        }),
    );
    over.addEventListener("abort", () => this.#ended.abort(), { once: true });
    this.#following = Promise.all(this.#watches.map((watch) => this.#follow(watch)));
  }

  /** Takes note of a write that names its event, once it is acknowledged. */
  completed({ outcome, sentUs, completedUs }: Completed, measured: boolean): void {
    const { ok, event } = outcome;
    if (!ok || event === undefined) {
      return;
    }
    const write = { event, measured, acceptedBy: outcome.endpoint, sentUs, acceptedUs: completedUs };
    const row = this.#log.add(write);
    const early = this.#early.get(event);
    this.#early.delete(event);
    this.#lastAcceptedUs = Math.max(this.#lastAcceptedUs, completedUs);
    let left = this.#watches.length;
    this.#watches.forEach((_, member) => {
      const at = early?.sightings[member] ?? this.#coverings[member]?.find((covering) => covering.covers(event))?.at;
      left = at === undefined ? left : (this.#log.see(row, member, at) ?? left);
    });
    if (left > 0) {
      this.#outstanding.set(event, row);
    }
  }

  /** Resolves when every event was seen everywhere, or the last one's deadline is over. */
  async settled(stop: AbortSignal): Promise<void> {
    const untilUs = this.#lastAcceptedUs + this.#plan.deadlineMs * 1000;
    while (this.#outstanding.size > 0 && this.#clock.nowUs() < untilUs && !stop.aborted) {
      await sleepUntil(this.#clock, this.#clock.nowUs() + sweepUs, stop);
    }
  }

  /** Ends observation; what is known then is the result. */
  async stop(): Promise<ReplicationResult> {
    this.#endUs = this.#clock.nowUs();
    this.#ended.abort();
    await this.#following;
    return {
      deadlineMs: this.#plan.deadlineMs,
      events: this.#log.rows,
      duplicates: this.#duplicates,
      unclaimed: this.#unclaimed + this.#early.size,
      busySeconds: this.#watches.reduce((sum, watch) => sum + watch.busyMs, 0) / 1000,
      members: this.#watches.map((watch) => watch.result()),
    };
  }

  /** Writes `replication.parquet`, once observation has ended. */
  async write(file: string): Promise<void> {
    const missed = (member: number, fromUs: number, toUs: number): boolean =>
      this.#watches[member]?.missed(fromUs, toUs) ?? true;
    await this.#log.write(file, this.#plan.deadlineMs * 1000, this.#endUs, missed);
  }

  async #follow(watch: MemberWatch): Promise<void> {
    const { signal } = this.#ended;
    let told = "";
    while (!signal.aborted) {
      watch.asked();
      const why = await this.#observe(watch, signal).then(() => "its feed was closed", messageOf);
      if (signal.aborted) {
        return; // ended by us: no gap
      }
      watch.ended(why);
      if (why !== told) {
        log("warn", "a feed broke off", { member: watch.endpoint.ordinal, why });
        told = why;
      }
      await sleepUntil(this.#clock, this.#clock.nowUs() + pauseUs, signal);
    }
  }

  #seen(member: number, event: string, at: Sighting): void {
    const row = this.#outstanding.get(event);
    if (row !== undefined) {
      this.#note(event, row, member, at);
      return;
    }
    const early = this.#early.get(event) ?? this.#meet(event, at.seenUs);
    this.#duplicates += early.sightings[member] === undefined ? 0 : 1;
    early.sightings[member] ??= at;
  }

  #caughtUp(member: number, covers: Covering["covers"], at: Sighting): void {
    this.#coverings[member]?.push({ covers, at });
    for (const [event, row] of this.#outstanding) {
      if (covers(event) && !this.#log.wasSeen(row, member)) {
        this.#note(event, row, member, at);
      }
    }
    for (const [event, { sightings }] of this.#early) {
      if (covers(event)) {
        sightings[member] ??= at;
      }
    }
  }

  #note(event: string, row: number, member: number, at: Sighting): void {
    const left = this.#log.see(row, member, at);
    this.#duplicates += left === undefined ? 1 : 0;
    if (left === 0) {
      this.#outstanding.delete(event);
    }
  }

  /** Keeps an event for a write that may still name it, and forgets those that no write named in time. */
  #meet(event: string, nowUs: number): Early {
    const early: Early = { firstUs: nowUs, sightings: [] };
    this.#early.set(event, early);
    const beforeUs = nowUs - this.#plan.timeoutMs * 1000 - unclaimedUs;
    for (const [old, { firstUs }] of this.#early) {
      if (firstUs >= beforeUs) {
        break;
      }
      this.#early.delete(old);
      this.#unclaimed += 1;
    }
    return early;
  }
}
