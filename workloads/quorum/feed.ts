import type { MemberFeed } from "../core/connector.ts";
import { followBlocks } from "./blocks.ts";

/**
 * Follows the blocks of one member: a transaction shows there when the member tells of a block that holds it. A stream
 * goes on after the last block of the one before, so that nothing is missed; the member has no clock of its own for it,
 * since a block's time is in whole seconds and the same everywhere.
 *
 * @throws Error when the stream cannot be had or breaks off.
 */
export async function followFeed(feed: MemberFeed, signal: AbortSignal): Promise<void> {
  const after = feed.cursor === null ? null : Number(feed.cursor);
  await followBlocks(
    feed.endpoint.attributes?.ws ?? "",
    after,
    {
      opened: (whole, base) =>
        feed.delivered((delivery) => {
          delivery.opened(whole);
          delivery.reached(String(base));
        }),
      block: ({ number, transactions }, replayed) =>
        feed.delivered((delivery) => {
          for (const transaction of transactions) {
            delivery.seen(transaction, undefined, replayed);
          }
          delivery.reached(String(number));
        }),
    },
    signal,
  );
}
