import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Edge, edges, methods } from "../../../nodes/ceramic/topology.ts";

const pairs = (list: readonly Edge[]): string[] => list.map(({ from, to }) => `${from}-${to}`);
const network = {
  method: fc.constantFrom(...methods),
  n: fc.integer({ min: 1, max: 100 }),
  peers: fc.integer({ min: 0, max: 40 }),
  seed: fc.nat(),
};

/** Peers that can be reached from the first over connections, whoever opened them. */
function reached(peers: number, list: readonly Edge[]): number {
  const seen = new Set(peers === 0 ? [] : [0]);
  for (let before = -1; before !== seen.size; ) {
    before = seen.size;
    for (const { from, to } of list) if (seen.has(from) || seen.has(to)) seen.add(from).add(to);
  }
  return seen.size;
}

describe("edges", () => {
  test("never connect a peer to itself or twice to another, and stay within the list", () => {
    fc.assert(
      fc.property(network.method, network.n, network.peers, network.seed, (method, n, peers, seed) => {
        const list = edges(method, n, peers, seed);
        expect(new Set(pairs(list)).size).toBe(list.length);
        for (const { from, to } of list) {
          expect(from).not.toBe(to);
          expect(from >= 0 && from < peers && to >= 0 && to < peers).toBe(true);
        }
      }),
    );
  });

  test("of a ring and of sentinels make one network, and leave nobody of at least two alone by any method", () => {
    fc.assert(
      fc.property(network.method, network.n, network.peers, network.seed, (method, n, peers, seed) => {
        const list = edges(method, n, peers, seed);
        if (method !== "random") expect(reached(peers, list)).toBe(peers);
        if (peers >= 2) expect(new Set(list.flatMap(({ from, to }) => [from, to])).size).toBe(peers);
      }),
    );
  });

  test("are n for each peer of a ring or a random network, or to all others where there are fewer", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("ring" as const, "random" as const),
        network.n,
        fc.integer({ min: 1, max: 40 }),
        network.seed,
        (method, n, peers, seed) => {
          const list = edges(method, n, peers, seed);
          for (let peer = 0; peer < peers; peer++) {
            expect(list.filter(({ from }) => from === peer)).toHaveLength(Math.min(n, peers - 1));
          }
        },
      ),
    );
  });

  test.each([
    ["ring", 1, 3, ["0-1", "1-2", "2-0"]],
    ["ring", 2, 3, ["0-1", "0-2", "1-2", "1-0", "2-0", "2-1"]],
    ["ring", 5, 2, ["0-1", "1-0"]], // upstream's ring never ended for the last peer, and had no cap
    ["sentinel", 1, 4, ["1-0", "2-0", "3-0"]],
    ["sentinel", 2, 3, ["0-1", "1-0", "2-0", "2-1"]],
    ["ring", 3, 1, []],
    ["sentinel", 3, 0, []],
  ] as const)("of %s with n = %i for %i peers are known", (method, n, peers, expected) => {
    expect(pairs(edges(method, n, peers, 7))).toEqual(expected);
  });

  test("drawn at random are the same for the same seed, others for another, and differ between peers", () => {
    expect(edges("random", 3, 20, 7)).toEqual(edges("random", 3, 20, 7));
    expect(edges("random", 3, 20, 7)).not.toEqual(edges("random", 3, 20, 8));
    const steps = edges("random", 1, 20, 7).map(({ from, to }) => (to - from + 20) % 20);
    expect(new Set(steps).size).toBeGreaterThan(5);
  });

  test("drawn at random change for few when a peer is added", () => {
    const before = new Set(pairs(edges("random", 3, 20, 7)));
    const after = pairs(edges("random", 3, 21, 7)).filter((pair) => !pair.startsWith("20-"));
    expect(after.filter((pair) => !before.has(pair)).every((pair) => pair.endsWith("-20"))).toBe(true);
  });
});
