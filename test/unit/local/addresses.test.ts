import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  clusterId,
  hardwareAddress,
  linkCandidates,
  linkCount,
  linkOf,
  linksInUse,
} from "../../../local/cluster/addresses.ts";

const index = fc.integer({ min: 0, max: linkCount - 1 });
const number = (address: string) => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

describe("link addresses", () => {
  test("lie in 198.19.128.0/17, outside the Service range, and are told apart from each other", () => {
    fc.assert(
      fc.property(index, index, (a, b) => {
        const [left, right] = [linkOf(a), linkOf(b)];
        expect(number(left.hostAddress)).toBeGreaterThan(number("198.19.128.0"));
        expect(number(left.nodeAddress)).toBeLessThan(number("198.19.255.255"));
        expect(number(left.nodeAddress) - number(left.hostAddress)).toBe(1);
        expect(left.hostInterface.length).toBeLessThanOrEqual(15);
        expect(left.hostAddress === right.hostAddress).toBe(a === b);
        expect(linksInUse([`${left.hostAddress}/30`])).toEqual(new Set([a]));
        expect(linksInUse([left.nodeAddress])).toEqual(new Set([a]));
      }),
    );
  });

  test("of other networks are nobody's", () => {
    expect(linksInUse(["127.0.0.1/8", "198.19.0.1", "198.18.200.1/15", "10.0.0.1", ""])).toEqual(new Set());
  });

  test("an index out of range is refused", () => {
    expect(() => linkOf(linkCount)).toThrow(RangeError);
    expect(() => linkOf(-1)).toThrow(RangeError);
  });

  test("candidates begin where the id falls, leave out what is taken and cover the rest once", () => {
    const id = clusterId("/home/x/.orrery/clusters/local");
    const all = [...linkCandidates(id, new Set())];
    expect(new Set(all).size).toBe(linkCount);
    const [first, second] = all;
    const next = [...linkCandidates(id, new Set([first ?? 0]))];
    expect(next[0]).toBe(second);
    expect(next).toHaveLength(linkCount - 1);
  });

  test("an id becomes a locally administered unicast hardware address of its own", () => {
    const address = hardwareAddress(clusterId("/a"));
    expect(address).toMatch(/^02(:[0-9a-f]{2}){5}$/);
    expect(address).not.toBe(hardwareAddress(clusterId("/b")));
  });
});
