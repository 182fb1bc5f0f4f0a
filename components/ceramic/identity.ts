import { createHash, createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";

/** What is publicly known of a peer's keys. */
export interface PeerIdentity {
  /** libp2p's name of the peer. */
  readonly peerId: string;
  /** DID of the js-ceramic node. */
  readonly did: string;
  /** The public Ed25519 keys behind them, in hex. */
  readonly ipfsKey: string;
  readonly didKey: string;
}

/** Identity of a group's member; the private halves are derived in its pod, see nodes/ceramic/identity.ts. */
export function peerIdentity(groupKeyHex: string, group: string, ordinal: number): PeerIdentity {
  const ipfsKey = publicKey(derive(groupKeyHex, `${group}/${ordinal}/ipfs`));
  const didKey = publicKey(derive(groupKeyHex, `${group}/${ordinal}/did`));
  return {
    peerId: peerId(ipfsKey),
    did: didOf(didKey),
    ipfsKey: ipfsKey.toString("hex"),
    didKey: didKey.toString("hex"),
  };
}

/** The DID of an Ed25519 key that is known by its seed, in hex. */
export const didOfSeed = (seedHex: string): string => didOf(publicKey(Buffer.from(seedHex, "hex")));

/** A password of 40 hexadecimal digits, from a group's key. */
export const password = (groupKeyHex: string, purpose: string): string =>
  createHash("sha256").update(derive(groupKeyHex, purpose)).digest("hex").slice(0, 40);

/** did:key of an Ed25519 key: multicodec 0xed01 before the key, in base58btc. */
const didOf = (key: Buffer): string => `did:key:z${base58(Buffer.concat([Buffer.from("ed01", "hex"), key]))}`;

/** A libp2p peer id: the identity multihash of the key's protobuf, in base58btc. */
const peerId = (key: Buffer): string => base58(Buffer.concat([Buffer.from("002408011220", "hex"), key]));

function derive(keyHex: string, info: string): Buffer {
  return Buffer.from(hkdfSync("sha256", Buffer.from(keyHex, "hex"), "orrery/v1", info, 32));
}

function publicKey(seed: Buffer): Buffer {
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex"); // PKCS #8 of an Ed25519 key, RFC 8410
  const key = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: "der", type: "pkcs8" });
  return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
}

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** Base58 with Bitcoin's alphabet; each leading zero byte is a leading 1. */
function base58(bytes: Buffer): string {
  let text = "";
  for (let value = BigInt(`0x${bytes.toString("hex")}`); value > 0n; value /= 58n) {
    text = `${alphabet[Number(value % 58n)]}${text}`;
  }
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return "1".repeat(zeros < 0 ? bytes.length : zeros) + text;
}
