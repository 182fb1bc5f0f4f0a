import { Client } from "undici";
import { z } from "zod";
import type { FeedDelivery, MemberFeed } from "../core/connector.ts";

/** A member says something every second; one that is silent for this long is as good as gone. */
const silenceMs = 5_000;
const connectLimitMs = 1_000;

/** One line of `GET /feed`, see nodes/kv/README.md. */
const lineSchema = z.object({
  /** A change. */
  index: z.int().optional(),
  /** By the member's clock, µs since 1970. */
  at: z.int().optional(),
  /** Every change up to here is in the member's state. */
  state: z.int().optional(),
  /** How far the member is. */
  applied: z.int().optional(),
  end: z.string().optional(),
  error: z.string().optional(),
});

/**
 * Follows one stream of a member's feed, of the changes to keys that begin with `prefix`. Nothing is ever missed: a
 * stream begins with the place up to which everything shows at the member.
 *
 * @throws Error when the stream cannot be had, breaks off, or is not as agreed.
 */
export async function followFeed(feed: MemberFeed, prefix: string, signal: AbortSignal): Promise<void> {
  const client = new Client(feed.endpoint.url, {
    connect: { timeout: connectLimitMs },
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
  });
  try {
    const query = new URLSearchParams({ prefix, ...(feed.cursor === null ? {} : { after: feed.cursor }) });
    const answer = await client.request({ method: "GET", path: `/feed?${query}`, signal });
    if (answer.statusCode !== 200) {
      throw new Error(`GET /feed was answered ${answer.statusCode} ${(await answer.body.text()).slice(0, 200)}`);
    }
    const lines = new LineReader();
    for await (const chunk of answer.body) {
      feed.delivered((delivery) => lines.read(chunk, delivery));
    }
    throw new Error(lines.end ?? "the feed broke off");
  } finally {
    await client.destroy();
  }
}

/** What the lines of one stream say. */
class LineReader {
  readonly #decoder = new TextDecoder();
  #rest = "";
  /** Changes up to here happened before the stream was opened. */
  #replayedTo: number | undefined;
  /** Why the member ended the stream. */
  end: string | undefined;

  read(chunk: Uint8Array, delivery: FeedDelivery): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      this.#take(lineSchema.parse(JSON.parse(line)), delivery);
    }
  }

  #take({ index, at, state, applied, end, error }: z.output<typeof lineSchema>, delivery: FeedDelivery): void {
    if (state !== undefined) {
      const first = this.#replayedTo === undefined;
      this.#replayedTo ??= applied ?? state;
      if (first) {
        delivery.opened(true);
      }
      delivery.caughtUp((event) => Number(event) <= state, first);
      delivery.reached(String(state));
    } else if (index !== undefined) {
      delivery.seen(String(index), at, index <= (this.#replayedTo ?? 0));
      delivery.reached(String(index));
    } else if (end !== undefined) {
      this.end = `${end}: ${error ?? "no reason given"}`;
    }
  }
}
