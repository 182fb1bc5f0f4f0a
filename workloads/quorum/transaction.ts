import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { getPublicKey, hashes, sign } from "@noble/secp256k1";

hashes.hmacSha256 = (key, message) => hmac(sha256, key, message); // RFC 6979, so that signing needs no randomness
hashes.sha256 = sha256;

/** A legacy transaction: what every GoQuorum and clique network takes, before or after EIP-1559. */
export interface Transaction {
  readonly nonce: number;
  readonly gasPrice: bigint;
  readonly gas: number;
  /** 20 bytes; empty makes a contract. */
  readonly to: Uint8Array;
  readonly value: bigint;
  readonly data: Uint8Array;
}

export interface Signed {
  /** As `eth_sendRawTransaction` takes it: 0x and hex. */
  readonly raw: string;
  /** 0x and hex. */
  readonly hash: string;
}

/**
 * Signs a public transaction (EIP-155).
 *
 * @param key 32 bytes.
 * @param chainId Not 1 on a GoQuorum network, which takes `v` 37 and 38 for private.
 */
export function signTransaction(transaction: Transaction, key: Uint8Array, chainId: number): Signed {
  const fields = fieldsOf(transaction);
  const unsigned = encodeList([...fields, numberBytes(BigInt(chainId)), none, none]);
  return signed(fields, unsigned, key, 2 * chainId + 35);
}

/** Signs a private transaction of GoQuorum: its data is the hash of a payload; it is bound to no chain. */
export function signPrivateTransaction(transaction: Transaction, key: Uint8Array): Signed {
  const fields = fieldsOf(transaction);
  return signed(fields, encodeList(fields), key, 37);
}

/** Account of a private key: the last 20 bytes of the hash of its public key, as 0x and hex in lower case. */
export function addressOf(key: Uint8Array): string {
  return toHex(keccak_256(getPublicKey(key, false).subarray(1)).subarray(-20));
}

/** The first four bytes of the hash of a function's signature, e.g. `get(uint256)`. */
export function selectorOf(signature: string): Uint8Array {
  return keccak_256(new TextEncoder().encode(signature)).subarray(0, 4);
}

export const toHex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString("hex")}`;
export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/^0x/, ""), "hex"));

const none = new Uint8Array();

function fieldsOf({ nonce, gasPrice, gas, to, value, data }: Transaction): Uint8Array[] {
  return [numberBytes(BigInt(nonce)), numberBytes(gasPrice), numberBytes(BigInt(gas)), to, numberBytes(value), data];
}

function signed(fields: readonly Uint8Array[], unsigned: Uint8Array, key: Uint8Array, firstV: number): Signed {
  const signature = sign(keccak_256(unsigned), key, { prehash: false, format: "recovered" });
  const v = firstV + (signature[0] ?? 0);
  const [r, s] = [signature.subarray(1, 33), signature.subarray(33, 65)].map(withoutLeadingZeros);
  const encoded = encodeList([...fields, numberBytes(BigInt(v)), r ?? none, s ?? none]);
  return { raw: toHex(encoded), hash: toHex(keccak_256(encoded)) };
}

/** A list of byte strings in RLP (Ethereum yellow paper, appendix B). */
export function encodeList(items: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(items.flatMap(encodeString));
  return new Uint8Array(Buffer.concat([header(0xc0, body.length), body]));
}

function encodeString(bytes: Uint8Array): Uint8Array[] {
  const [first] = bytes;
  return bytes.length === 1 && first !== undefined && first < 0x80 ? [bytes] : [header(0x80, bytes.length), bytes];
}

function header(offset: number, length: number): Uint8Array {
  if (length <= 55) {
    return Uint8Array.of(offset + length);
  }
  const size = numberBytes(BigInt(length));
  return Uint8Array.of(offset + 55 + size.length, ...size);
}

/** Big-endian without leading zeros; nothing for 0. */
function numberBytes(value: bigint): Uint8Array {
  if (value === 0n) {
    return none;
  }
  const hex = value.toString(16);
  return new Uint8Array(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex"));
}

function withoutLeadingZeros(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  return start === -1 ? none : bytes.subarray(start);
}
