import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from "node:crypto";

/** An Ed25519 key pair (RFC 8032): the seed and the public key, 32 bytes each. */
export interface KeyPair {
  readonly seed: Buffer;
  readonly publicKey: Buffer;
}

/**
 * A peer's key, from its group's: HKDF-SHA256 over group, ordinal and purpose, as components/ceramic/identity.ts has it,
 * where the public halves are computed.
 */
export function peerKey(groupKeyHex: string, group: string, ordinal: number, purpose: "ipfs" | "did"): KeyPair {
  const info = `${group}/${ordinal}/${purpose}`;
  const seed = Buffer.from(hkdfSync("sha256", Buffer.from(groupKeyHex, "hex"), "orrery/v1", info, 32));
  return { seed, publicKey: publicKeyOf(seed) };
}

function publicKeyOf(seed: Buffer): Buffer {
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex"); // PKCS #8 of an Ed25519 key, RFC 8410
  const key: KeyObject = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: "der", type: "pkcs8" });
  return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
}

/** The private key as kubo's configuration has it: libp2p's protobuf, in base64. */
export function libp2pPrivateKey({ seed, publicKey }: KeyPair): string {
  return Buffer.concat([Buffer.from("08011240", "hex"), seed, publicKey]).toString("base64");
}
