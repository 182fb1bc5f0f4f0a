import { createHash } from "node:crypto";
import { SigningKey } from "ethers/crypto";
import { computeAddress } from "ethers/transaction";
import { memberKey } from "../kubernetes/identity.ts";

/**
 * The groups whose keys a quorum network has. Key number n of a group is HKDF-SHA256 (RFC 5869) of the group's key with
 * the salt `orrery/v1` and the info `<group>/<n>/secp256k1`: 32 bytes that are a private key of secp256k1. Nodes derive
 * theirs from `node`, the bootnode from `bootnode`, drivers from `account`, the web app from `racecourse`; private-transaction
 * managers have X25519 keys of the group `ptm`. One of 2^128 such values is no private key; it is refused.
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
  const key = new SigningKey(`0x${memberKey(groupKeyHex, group, ordinal, "secp256k1")}`);
  return { publicKey: key.publicKey.slice("0x04".length), address: computeAddress(key.publicKey) };
}

/** The public halves of the first `count` keys of a group. */
export function identitiesOf(groupKeyHex: string, group: string, count: number): PublicIdentity[] {
  return Array.from({ length: count }, (_, ordinal) => identityOf(groupKeyHex, group, ordinal));
}

/** What stands for the root secret where all keys come from the seed: 32 bytes in hex that anybody can derive. */
export function deterministicRoot(seed: number): string {
  return createHash("sha256").update(`orrery/v1/deterministic/${seed}`).digest("hex");
}
