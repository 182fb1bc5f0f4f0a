import { hkdfSync } from "node:crypto";
import nacl from "tweetnacl";

/** An X25519 key pair (RFC 7748), 32 bytes each. */
export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/**
 * The key pair of one member: HKDF-SHA256 of the group's key with salt `orrery/v1` and info `ptm/<ordinal>/x25519`, as
 * components/kubernetes/identity.ts derives the public half.
 *
 * @param groupKeyHex 32 bytes in hex.
 */
export function memberKeys(groupKeyHex: string, ordinal: number): KeyPair {
  const info = `ptm/${ordinal}/x25519`;
  const seed = hkdfSync("sha256", Buffer.from(groupKeyHex, "hex"), "orrery/v1", info, 32);
  return nacl.box.keyPair.fromSecretKey(new Uint8Array(seed));
}

export const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
export const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
