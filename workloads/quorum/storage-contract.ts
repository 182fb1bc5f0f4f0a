import artifact from "./contracts/Storage.json" with { type: "json" };
import { fromHex, selectorOf, toHex } from "./transaction.ts";

/** Code that makes the contract of contracts/Storage.sol. */
export const deployCode = fromHex(artifact.bytecode);

const putSelector = selectorOf("put(uint256,bytes)");
const getSelector = selectorOf("get(uint256)");
const wordBytes = 32;

/** Data of a call of `put` (contract ABI: head of the key and the value's place, then its length and bytes, padded). */
export function encodePut(key: bigint, value: Uint8Array): Uint8Array {
  const padding = new Uint8Array((wordBytes - (value.length % wordBytes)) % wordBytes);
  const words = [word(key), word(BigInt(2 * wordBytes)), word(BigInt(value.length))];
  return new Uint8Array(Buffer.concat([putSelector, ...words, value, padding]));
}

/** Data of a call of `get`, as 0x and hex. */
export function encodeGet(key: bigint): string {
  return toHex(new Uint8Array(Buffer.concat([getSelector, word(key)])));
}

/**
 * What `get` returned; null when the key was never written.
 *
 * @param result 0x and hex.
 * @throws Error when it is no answer of this contract, e.g. because there is none at the address.
 */
export function decodeGet(result: string): Uint8Array | null {
  const bytes = fromHex(result);
  const length =
    bytes.length < 2 * wordBytes ? undefined : Number(BigInt(toHex(bytes.subarray(wordBytes, 2 * wordBytes))));
  if (length === undefined || bytes.length < 2 * wordBytes + length) {
    throw new Error(`get answered ${bytes.length} bytes, which is no value: there is no such contract at this address`);
  }
  return length === 0 ? null : bytes.subarray(2 * wordBytes, 2 * wordBytes + length);
}

/**
 * Gas that deploying takes, and that a `put` of some bytes takes at most: every word of storage new (22,100 gas, EIP-2929),
 * every byte of data not zero (16 gas, EIP-2028).
 */
export const deployGas = 21_000 + 32_000 + deployCode.length * (16 + 200) + 100_000;
export function putGas(valueBytes: number): number {
  const words = Math.ceil(valueBytes / wordBytes);
  return 60_000 + (words + 2) * (22_100 + 600) + 16 * (valueBytes + 4 * wordBytes);
}

function word(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(2 * wordBytes, "0"), "hex"));
}
