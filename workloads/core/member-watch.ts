import { performance } from "node:perf_hooks";
import type { ReplicationResult } from "../../schema/results.ts";
import type { Endpoint } from "../../schema/run.ts";
import type { Clock } from "./clock.ts";
import type { FeedDelivery, MemberFeed } from "./connector.ts";
import { emptyHistogram, recordUs, summaryMs } from "./histogram.ts";

/** When an event came to show at a member, µs: at `seenUs`, or, when `notBeforeUs` is a number, between the two. */
export interface Sighting {
  readonly seenUs: number;
  readonly notBeforeUs: number;
}

/** Who is told what shows at one member. */
export interface SightingSink {
  seen(event: string, at: Sighting): void;
  caughtUp(covers: (event: string) => boolean, at: Sighting): void;
}

/** A stretch in which what happened at the member may have been missed, µs. */
interface Gap {
  readonly fromUs: number;
  readonly toUs: number;
  readonly why: string;
}

/** More gaps than these are told as one long one. */
const mostGaps = 100;

/**
 * The feed of one member, over all its streams: gives arrivals their time, and keeps account of the stretches in which
 * nothing could be seen.
 *
 * What arrives as it happens is stamped with this worker's clock. What a new stream tells of the time before it gets
 * the member's own time where it says it, put on this clock by the shortest way of a message seen so far; else only
 * the two ends are known: when the last stream fell silent, and now.
 */
export class MemberWatch implements MemberFeed {
  readonly endpoint: Endpoint;
  cursor: string | null = null;
  readonly #clock: Clock;
  readonly #sink: SightingSink;
  readonly #gaps: Gap[] = [];
  /** Beyond the shortest way so far: what the feed, and this worker, made messages wait. */
  readonly #lag = emptyHistogram();
  #open = false;
  #heardUs: number;
  /** Up to when the streams before this one can be relied on. */
  #lostUs: number;
  #askedUs = 0;
  /** Arrival here minus the member's time: clock difference and way, at least. */
  #transitUs = Number.POSITIVE_INFINITY;
  #roundTripUs = Number.POSITIVE_INFINITY;
  #why = "its feed was never opened";
  #reports = 0;
  #streams = 0;
  #busyMs = 0;

  constructor(endpoint: Endpoint, clock: Clock, sink: SightingSink) {
    this.endpoint = endpoint;
    this.#clock = clock;
    this.#sink = sink;
    this.#heardUs = this.#now();
    this.#lostUs = this.#heardUs;
  }

  /** A stream is being asked for. */
  asked(): void {
    this.#askedUs = this.#now();
  }

  delivered(take: (delivery: FeedDelivery) => void): void {
    const begunMs = performance.now();
    const nowUs = this.#now();
    take({
      opened: (whole) => this.#opened(nowUs, whole),
      seen: (event, memberUs, replayed = false) => {
        this.#reports += 1;
        this.#sink.seen(event, replayed ? this.#replayed(nowUs, memberUs) : this.#fresh(nowUs, memberUs));
      },
      caughtUp: (covers, replayed = false) =>
        this.#sink.caughtUp(covers, replayed ? this.#replayed(nowUs, undefined) : this.#fresh(nowUs, undefined)),
      reached: (cursor) => {
        this.cursor = cursor;
      },
    });
    this.#heardUs = nowUs;
    this.#busyMs += performance.now() - begunMs;
  }

  /** The stream is over, or could not be had. */
  ended(why: string): void {
    if (this.#open) {
      this.#lostUs = this.#heardUs; // it may have been dead since it was last heard
    }
    this.#open = false;
    this.#why = why;
  }

  /** Whether something that happened between two instants may have been missed. */
  missed(fromUs: number, toUs: number): boolean {
    const closed = this.#gaps.some((gap) => gap.fromUs < toUs && gap.toUs > fromUs);
    return closed || (!this.#open && this.#lostUs < toUs);
  }

  /** Time spent on taking what arrived, ms. */
  get busyMs(): number {
    return this.#busyMs;
  }

  result(): ReplicationResult["members"][number] {
    const open: Gap[] = this.#open ? [] : [{ fromUs: this.#lostUs, toUs: Number.POSITIVE_INFINITY, why: this.#why }];
    return {
      ordinal: this.endpoint.ordinal,
      reports: this.#reports,
      streams: this.#streams,
      roundTripMs: Number.isFinite(this.#roundTripUs) ? this.#roundTripUs / 1000 : null,
      lagMs: this.#lag.totalCount === 0 ? null : summaryMs(this.#lag),
      gaps: [...this.#gaps, ...open].map(({ fromUs, toUs, why }) => ({
        fromMs: fromUs / 1000,
        toMs: Number.isFinite(toUs) ? toUs / 1000 : null,
        why,
      })),
    };
  }

  #opened(nowUs: number, whole: boolean): void {
    this.#open = true;
    this.#streams += 1;
    this.#roundTripUs = Math.min(this.#roundTripUs, nowUs - this.#askedUs);
    if (!whole) {
      const joined = this.#gaps.length < mostGaps ? undefined : this.#gaps.pop();
      this.#gaps.push({ fromUs: joined?.fromUs ?? this.#lostUs, toUs: nowUs, why: this.#why });
    }
  }

  #fresh(nowUs: number, memberUs: number | undefined): Sighting {
    if (memberUs !== undefined) {
      const transitUs = nowUs - memberUs;
      this.#transitUs = Math.min(this.#transitUs, transitUs);
      recordUs(this.#lag, transitUs - this.#transitUs);
    }
    return { seenUs: nowUs, notBeforeUs: Number.NaN };
  }

  #replayed(nowUs: number, memberUs: number | undefined): Sighting {
    if (memberUs === undefined || !Number.isFinite(this.#transitUs)) {
      return { seenUs: nowUs, notBeforeUs: this.#lostUs };
    }
    const ownUs = memberUs + this.#transitUs;
    return { seenUs: Math.round(Math.min(nowUs, Math.max(this.#lostUs, ownUs))), notBeforeUs: Number.NaN };
  }

  #now(): number {
    return Math.round(this.#clock.nowUs());
  }
}
