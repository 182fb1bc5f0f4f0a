import type { WholeRun } from "./checks/check.ts";

type Held = Pick<WholeRun, "spec" | "workers">;

/**
 * Events per second that the member which gained fewest came to hold in the measure phase, or why that is not known:
 * every member has to have said how many it held, before and after.
 */
export function memberRate({ spec, workers }: Held): number | string {
  const counts = workers.flatMap(({ result }) => result.held ?? []);
  if (counts.length === 0) {
    return "no worker counted what members hold";
  }
  const rates: number[] = [];
  for (const { ordinal, pod } of spec.endpoints) {
    const own = counts.filter((count) => count.ordinal === ordinal);
    let rate = 0;
    for (const { before, after, seconds } of own) {
      if (before === null || after === null || seconds === 0) {
        return `${pod} did not say how many events it held ${before === null ? "before" : "after"} the measure phase`;
      }
      rate += Math.max(0, after - before) / seconds;
    }
    if (own.length === 0) {
      return `nobody counted what ${pod} holds`;
    }
    rates.push(rate);
  }
  return Math.min(...rates);
}

/** What became of the sampled documents' anchors; undefined where nobody looked, or there were none. */
export function anchorMetrics({ workers }: Held): Readonly<Record<string, number>> | undefined {
  const looks = workers.flatMap(({ result }) => result.anchors ?? []);
  const sum = (pick: (look: (typeof looks)[number]) => number) => looks.reduce((total, look) => total + pick(look), 0);
  const sampled = sum((look) => look.sampled);
  return looks.length === 0
    ? undefined
    : {
        bad_anchors: sum(({ unread, failed }) => unread + failed),
        ...(sampled === 0 ? {} : { anchored_ratio: sum(({ anchored }) => anchored) / sampled }),
      };
}
