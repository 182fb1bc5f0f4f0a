import { readFile } from "node:fs/promises";
import { Wallet } from "ethers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { groupKey, memberKey } from "../../../components/kubernetes/identity.ts";
import { deterministicRoot, identitiesOf, identityOf, keyGroups } from "../../../components/quorum/keys.ts";

/** Also read by the node agent's and the connector's tests: all derive the same keys. */
interface Vector {
  readonly rootSecret: string;
  readonly group: keyof typeof keyGroups;
  readonly groupKey: string;
  readonly ordinal: number;
  readonly purpose: string;
  readonly privateKey: string;
  readonly publicKey: string;
  readonly address: string;
}
const vectors = JSON.parse(await readFile("test/fixtures/quorum/keys.json", "utf8")) as readonly Vector[];

test.each(vectors)("$group $ordinal has the recorded keys", (vector) => {
  expect(groupKey(vector.rootSecret, "quorum", vector.group)).toBe(vector.groupKey);
  expect(memberKey(vector.groupKey, vector.group, vector.ordinal, vector.purpose)).toBe(vector.privateKey);
  expect(identityOf(vector.groupKey, vector.group, vector.ordinal)).toEqual({
    publicKey: vector.publicKey,
    address: vector.address,
  });
});

test.each(vectors)(
  "$group $ordinal is what a wallet makes of its private key",
  ({ privateKey, publicKey, address }) => {
    const wallet = new Wallet(`0x${privateKey}`);
    expect({ publicKey: wallet.signingKey.publicKey.slice(4), address: wallet.address }).toEqual({
      publicKey,
      address,
    });
  },
);

test("validators have one order, whether compared by bytes or by checksummed text", () => {
  for (let seed = 0; seed < 2; seed++) {
    const key = groupKey(deterministicRoot(seed), "quorum", keyGroups.node);
    const addresses = identitiesOf(key, keyGroups.node, 8).map(({ address }) => address);
    const byBytes = [...addresses].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
    expect([...addresses].sort()).toEqual(byBytes);
  }
});

test("more members leave the keys of the others as they are, and no two are the same", () => {
  const counts = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 4 }));
  fc.assert(
    fc.property(counts, ([count, more]) => {
      const key = groupKey(deterministicRoot(count), "quorum", keyGroups.node);
      const larger = identitiesOf(key, keyGroups.node, count + more);
      expect(larger.slice(0, count)).toEqual(identitiesOf(key, keyGroups.node, count));
      expect(new Set(larger.map(({ address }) => address)).size).toBe(count + more);
    }),
    { numRuns: 4 },
  );
});
