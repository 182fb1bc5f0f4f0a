import { createHash } from "node:crypto";

export const methods = ["ring", "random", "sentinel"] as const;
/** How peers are made known to each other. */
export type Method = (typeof methods)[number];

/** Peer `from` opens a connection to peer `to`; both are places in the list of peers. */
export interface Edge {
  readonly from: number;
  readonly to: number;
}

/**
 * Whom each of `peers` peers is to be connected to.
 *
 * - `ring`: the next n, going round;
 * - `random`: n of the others, drawn from the seed; one more peer changes few of the others' choices;
 * - `sentinel`: the first n of all.
 *
 * Nobody is connected to itself, nor twice to the same.
 */
export function edges(method: Method, n: number, peers: number, seed: number): Edge[] {
  const all = Array.from({ length: peers }, (_, index) => index);
  return all.flatMap((from) => choose(method, from, Math.min(n, peers - 1), all, seed).map((to) => ({ from, to })));
}

function choose(method: Method, from: number, n: number, all: readonly number[], seed: number): number[] {
  switch (method) {
    case "ring":
      return Array.from({ length: n }, (_, step) => (from + step + 1) % all.length);
    case "random":
      return all
        .filter((to) => to !== from)
        .map((to) => ({ to, rank: rank(seed, from, to) }))
        .sort((a, b) => (a.rank < b.rank ? -1 : 1))
        .slice(0, n)
        .map(({ to }) => to);
    case "sentinel":
      return all.slice(0, n).filter((to) => to !== from);
  }
}

const rank = (...values: readonly number[]): string => createHash("sha256").update(values.join("/")).digest("hex");
