import { createHmac, createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from "node:crypto";
import { expect, test } from "vitest";
import {
  conductorKey,
  groupKey,
  isRootSecret,
  memberPublicKey,
  runToken,
} from "../../../components/kubernetes/identity.ts";

const root = "01".repeat(32);

test("keys differ by system, group, ordinal, purpose and root, and are the same each time", () => {
  const group = groupKey(root, "kv", "replica");
  const keys = [
    root,
    group,
    groupKey(root, "kv", "observer"),
    groupKey(root, "dht", "replica"),
    groupKey("02".repeat(32), "kv", "replica"),
    conductorKey(root),
    memberPublicKey(group, "replica", 0),
    memberPublicKey(group, "replica", 1),
    runToken(conductorKey(root), "a"),
    runToken(conductorKey(root), "b"),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.every((key) => /^[0-9a-f]{64}$/.test(key))).toBe(true);
  expect(groupKey(root, "kv", "replica")).toBe(group);
});

test("the derivation is HKDF-SHA256 of RFC 5869, step by step", () => {
  const extracted = createHmac("sha256", "orrery/v1").update(Buffer.from(root, "hex")).digest();
  const expanded = createHmac("sha256", extracted)
    .update(Buffer.concat([Buffer.from("kv/replica"), Buffer.from([1])]))
    .digest("hex");
  expect(groupKey(root, "kv", "replica")).toBe(expanded);
});

test("a member's public key belongs to the private key its pod derives (RFC 7748)", () => {
  const group = groupKey(root, "kv", "replica");
  const seed = Buffer.from(hkdfSync("sha256", Buffer.from(group, "hex"), "orrery/v1", "replica/2/x25519", 32));
  const own = createPrivateKey({
    key: Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), seed]),
    format: "der",
    type: "pkcs8",
  });
  const other = createPrivateKey({
    key: Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), Buffer.alloc(32, 7)]),
    format: "der",
    type: "pkcs8",
  });
  const published = createPublicKey({
    key: Buffer.concat([
      Buffer.from("302a300506032b656e032100", "hex"),
      Buffer.from(memberPublicKey(group, "replica", 2), "hex"),
    ]),
    format: "der",
    type: "spki",
  });
  const mine = diffieHellman({ privateKey: own, publicKey: createPublicKey(other) });
  const theirs = diffieHellman({ privateKey: other, publicKey: published });
  expect(mine.equals(theirs)).toBe(true);
});

test("only 32 bytes in hex are a root secret", () => {
  expect([root, "", "zz".repeat(32), root.slice(2), `${root}00`].map(isRootSecret)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});
