import { createHash } from "node:crypto";
import { SigningKey } from "ethers/crypto";
import { computeAddress } from "ethers/transaction";
import { memberKey } from "../kubernetes/identity.ts";

/**
 * The groups whose keys a quorum network has. Key number n of a group is HKDF-SHA256 (RFC 5869) of the group's key with
 * the salt `orrery/v1` and the info `<group>/<n>/secp256k1`: 32 bytes that are a private key of secp256k1. Nodes derive
 * theirs from `node`, the bootnode from `bootnode`, drivers from `account`, the web app from `racecourse`; private-transaction
 * managers have X25519 keys of the group `ptm`. One of 2^128 such values is no private key; it is refused.
 *
 * A node's key is the first of `secp256k1`, `secp256k1/1`, `secp256k1/2`, ... whose address begins with six decimal
 * digits. GoQuorum 22.7.4 with QBFT orders validators by bytes while it runs, but by checksummed text those it reads
 * from its database when it starts (consensus/istanbul/backend: StartQBFTConsensus and snapshot.go); where `F` and `d`
 * decide, a restarted node expects other proposers and every few blocks need another round. Digits have one order.
 */
export const keyGroups = {
  node: "node",
  bootnode: "bootnode",
  account: "account",
  ptm: "ptm",
  racecourse: "racecourse",
} as const;

/** What is public of a key: nothing else leaves the place where it is derived. */
export interface PublicIdentity {
  /** Uncompressed public key without its first byte, 64 bytes in hex: the id of a node in an enode URL. */
  readonly publicKey: string;
  /** Account and validator address, with its checksum (EIP-55). */
  readonly address: string;
}

/**
 * The public half of key number `ordinal` of a group.
 *
 * @param groupKeyHex The group's key, 32 bytes in hex.
 */
export function identityOf(groupKeyHex: string, group: string, ordinal: number): PublicIdentity {
  return publicOf(memberKey(groupKeyHex, group, ordinal, purposeOf(groupKeyHex, group, ordinal)));
}

/** What key number `ordinal` of a group is derived for: the end of its info. */
export function purposeOf(groupKeyHex: string, group: string, ordinal: number): string {
  for (let attempt = 0; ; attempt++) {
    const purpose = attempt === 0 ? "secp256k1" : `secp256k1/${attempt}`;
    if (group !== keyGroups.node) return purpose;
    if (/^0x\d{6}/.test(publicOf(memberKey(groupKeyHex, group, ordinal, purpose)).address)) return purpose;
  }
}

function publicOf(privateKeyHex: string): PublicIdentity {
  const { publicKey } = new SigningKey(`0x${privateKeyHex}`);
  return { publicKey: publicKey.slice("0x04".length), address: computeAddress(publicKey) };
}

/** The public halves of the first `count` keys of a group. */
export function identitiesOf(groupKeyHex: string, group: string, count: number): PublicIdentity[] {
  return Array.from({ length: count }, (_, ordinal) => identityOf(groupKeyHex, group, ordinal));
}

/** What stands for the root secret where all keys come from the seed: 32 bytes in hex that anybody can derive. */
export function deterministicRoot(seed: number): string {
  return createHash("sha256").update(`orrery/v1/deterministic/${seed}`).digest("hex");
}
