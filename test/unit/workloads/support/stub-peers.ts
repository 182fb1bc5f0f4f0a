import type { Endpoint } from "../../../../schema/run.ts";
import type { Connector, MemberFeed } from "../../../../workloads/core/connector.ts";
import type { Completed } from "../../../../workloads/core/load.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** A member whose feed tells what the test says, at the time the test says, on a virtual clock. */
export class StubPeer {
  readonly endpoint: Endpoint;
  readonly #clock: VirtualClock;
  #stream: { readonly feed: MemberFeed; readonly fail: (why: Error) => void } | undefined;
  /** Whether a new stream tells all that happened while there was none; it can be had at all while `reachable`. */
  whole = true;
  reachable = true;
  /** This member's clock minus the virtual one, µs. */
  offsetUs = 0;
  /** Way of a message to the worker, µs. */
  transitUs = 300;
  /** Events that nobody was there to hear, with the member's time. */
  readonly #backlog: (readonly [string, number])[] = [];

  constructor(ordinal: number, clock: VirtualClock) {
    this.endpoint = { group: "peer", ordinal, pod: `peer-${ordinal}`, url: `http://127.0.0.1:${ordinal + 1}` };
    this.#clock = clock;
  }

  /** Shows an event at a time; whoever listens then hears of it. */
  show(event: string, atUs: number): void {
    this.#clock.schedule(atUs, () => {
      const stream = this.#stream;
      if (stream === undefined) {
        this.#backlog.push([event, atUs]);
        return;
      }
      this.#clock.schedule(atUs + this.transitUs, () =>
        stream.feed.delivered((delivery) => delivery.seen(event, atUs + this.offsetUs)),
      );
    });
  }

  /** Breaks the stream at a time, and lets it be opened again at another. */
  breakOff(fromUs: number, toUs: number): void {
    this.#clock.schedule(fromUs, () => {
      this.reachable = false;
      this.#stream?.fail(new Error("cut by the test"));
      this.#stream = undefined;
    });
    this.#clock.schedule(toUs, () => {
      this.reachable = true;
    });
  }

  async follow(feed: MemberFeed, signal: AbortSignal): Promise<void> {
    if (!this.reachable) {
      throw new Error("refused by the test");
    }
    feed.delivered((delivery) => {
      delivery.opened(this.whole);
      const missed = this.#backlog.splice(0);
      for (const [event, atUs] of this.whole ? missed : []) {
        delivery.seen(event, atUs + this.offsetUs, true);
      }
    });
    await new Promise<void>((resolve, fail) => {
      this.#stream = { feed, fail };
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}

/** The connector's side of some peers. */
export function observeOf(peers: readonly StubPeer[]): NonNullable<Connector["observe"]> {
  return async (feed, signal) => {
    const peer = peers.find(({ endpoint }) => endpoint === feed.endpoint);
    if (peer === undefined) {
      throw new Error("no such peer");
    }
    await peer.follow(feed, signal);
  };
}

/** A write acknowledged by a member at a time. */
export function acknowledged(event: string, acceptedUs: number, acceptedBy = 0): Completed {
  return {
    operation: "put",
    intendedUs: acceptedUs - 2_000,
    sentUs: acceptedUs - 2_000,
    completedUs: acceptedUs,
    outcome: { ok: true, endpoint: acceptedBy, attempts: 1, event },
  };
}
