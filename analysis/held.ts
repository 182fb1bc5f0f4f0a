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

/** Sampled documents that were not there or whose anchor failed; undefined where nobody looked. */
export function badAnchors({ workers }: Held): number | undefined {
  const looks = workers.flatMap(({ result }) => result.anchors ?? []);
  return looks.length === 0 ? undefined : looks.reduce((sum, { unread, failed }) => sum + unread + failed, 0);
}
