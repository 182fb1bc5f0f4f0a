import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "undici";
import { z } from "zod";
import type { FeedDelivery, MemberFeed } from "../core/connector.ts";
import type { WriteOrder } from "./write-order.ts";

/**
 * The feed says nothing while nothing happens, not even that it is there: whether the peer lives is asked beside it.
 * One that did not answer so many times in a row is as good as gone.
 */
const probeEveryMs = 1_000;
const probeLimitMs = 2_000;
const mostUnanswered = 3;
const openAfter = 2;
/**
 * js-ceramic 6.11 looks for news and then waits to be told of more: what comes between the two it tells with the next
 * news, which after the last write of a run never come. A second stream, opened when the feed has been quiet for this
 * long with writes untold, is told at once, with the time they had.
 */
const quietMs = 2_000;
const catchUpMs = 1_500;
/** The first stream begins this long before the driver was started, so that clocks may differ by as much. */
const lookBackMs = 60_000;
/** A peer's `Date` header has whole seconds. */
const dateStepMs = 1_000;

/** What the feed tells of a document: `commitId` is its newest state, `resumeToken` the place in the feed. */
const documentSchema = z.object({ commitId: z.string(), resumeToken: z.string().regex(/^\d{19,}$/) });

/** Where a feed begins that was never read: resume tokens are ms since 1970 by the peer's clock, and a count. */
export const firstToken = (nowMs: number): string => `${Math.floor(nowMs - lookBackMs)}000000`;

/** By the peer's clock, µs since 1970: when the document's state came into the feed. */
const tokenUs = (token: string): number => Number(token.slice(0, -6)) * 1000;

/**
 * Follows one stream of a peer's `GET /api/v0/feed/aggregation/documents` (server-sent events). Nothing is ever missed:
 * the peer keeps what it told, and a new stream goes on after the place of the last.
 *
 * @param first Where to begin when there was no stream before.
 * @throws Error when the stream cannot be had, breaks off, or is not as agreed.
 */
export async function followDocuments(
  feed: MemberFeed,
  order: WriteOrder,
  first: string,
  signal: AbortSignal,
): Promise<void> {
  const client = new Client(feed.endpoint.url, { connect: { timeout: 1_000 }, headersTimeout: 0, bodyTimeout: 0 });
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const opening = new Opening(feed);
  let heardMs = performance.now();
  const catchUp = async (): Promise<void> => {
    if (performance.now() - heardMs > quietMs && order.isBehind(feed.endpoint.ordinal)) {
      await lookForMore(feed, order, first, either);
      heardMs = performance.now();
    }
  };
  const alive = watchLife(feed.endpoint.url, { opening, ended, catchUp }, either);
  try {
    const path = `/api/v0/feed/aggregation/documents?after=${feed.cursor ?? first}`;
    const answer = await client.request({ method: "GET", path, signal: either });
    if (answer.statusCode !== 200) {
      throw new Error(`GET ${path} was answered ${answer.statusCode} ${(await answer.body.text()).slice(0, 200)}`);
    }
    const reader = new DocumentReader(feed.endpoint.ordinal, order, openedUs(answer.headers.date));
    for await (const chunk of answer.body) {
      opening.now();
      feed.delivered((delivery) => reader.read(chunk, delivery));
      heardMs = performance.now();
    }
    throw new Error("the feed broke off");
  } catch (error) {
    throw ended.signal.aborted && ended.signal.reason instanceof Error ? ended.signal.reason : error;
  } finally {
    ended.abort();
    await alive;
    await client.destroy();
  }
}

/** The end of the second in which the peer answered, by its clock; what happened before it may have been replayed. */
function openedUs(date: string | string[] | undefined): number {
  const ms = Date.parse(String(date));
  return Number.isNaN(ms) ? Number.POSITIVE_INFINITY : (ms + dateStepMs) * 1000;
}

/** Takes what a further stream tells within a moment. */
async function lookForMore(feed: MemberFeed, order: WriteOrder, first: string, signal: AbortSignal): Promise<void> {
  const path = `/api/v0/feed/aggregation/documents?after=${feed.cursor ?? first}`;
  try {
    const answer = await fetch(new URL(path, feed.endpoint.url), {
      signal: AbortSignal.any([signal, AbortSignal.timeout(catchUpMs)]),
    });
    const opened = openedUs(answer.headers.get("date") ?? undefined);
    const reader = new DocumentReader(feed.endpoint.ordinal, order, opened);
    for await (const chunk of answer.body ?? []) {
      feed.delivered((delivery) => reader.read(chunk, delivery));
    }
  } catch {
    // its time is over, or the peer is gone, which the first stream tells
  }
}

/** Tells once that the feed flows. */
class Opening {
  readonly #feed: MemberFeed;
  #told = false;

  constructor(feed: MemberFeed) {
    this.#feed = feed;
  }

  now(): void {
    if (!this.#told) {
      this.#told = true;
      this.#feed.delivered((delivery) => delivery.opened(true));
    }
  }
}

/**
 * Ends the stream when the peer no longer answers. The peer sends nothing before it has something to tell, no headers
 * either: a request for the feed that is under way while the peer answers others, twice, counts as open.
 */
async function watchLife(
  url: string,
  {
    opening,
    ended,
    catchUp,
  }: { readonly opening: Opening; readonly ended: AbortController; readonly catchUp: () => Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  let answered = 0;
  let unanswered = 0;
  while (!signal.aborted) {
    const alive = await isAlive(url, signal);
    if (signal.aborted) {
      return;
    }
    answered += alive ? 1 : 0;
    unanswered = alive ? 0 : unanswered + 1;
    if (answered === openAfter) {
      opening.now();
    }
    if (alive) {
      await catchUp();
    }
    if (unanswered === mostUnanswered) {
      ended.abort(new Error(`the peer did not answer ${mostUnanswered} times in a row`));
      return;
    }
    await sleep(probeEveryMs, undefined, { signal }).catch(() => undefined); // told to stop: the loop ends
  }
}

/** Whether a peer answers at all, whatever its IPFS does. */
export async function isAlive(url: string, signal: AbortSignal, limitMs = probeLimitMs): Promise<boolean> {
  try {
    const answer = await fetch(new URL("/api/v0/node/healthcheck?checkIpfs=false", url), {
      signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
    });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false; // whatever it is, it does not answer now
  }
}

/** What the events of one stream say. */
class DocumentReader {
  readonly #decoder = new TextDecoder();
  readonly #member: number;
  readonly #order: WriteOrder;
  readonly #openedUs: number;
  #rest = "";

  constructor(member: number, order: WriteOrder, openedUs: number) {
    this.#member = member;
    this.#order = order;
    this.#openedUs = openedUs;
  }

  read(chunk: Uint8Array, delivery: FeedDelivery): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split(/\r?\n/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:")) {
        const { commitId, resumeToken } = documentSchema.parse(JSON.parse(line.slice(5)));
        const memberUs = tokenUs(resumeToken);
        for (const event of this.#order.shownBy(this.#member, commitId)) {
          delivery.seen(event, memberUs, memberUs < this.#openedUs);
        }
        delivery.reached(resumeToken);
      }
    }
  }
}
