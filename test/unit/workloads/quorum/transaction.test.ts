import { readFile } from "node:fs/promises";
import { AbiCoder, Transaction as EthersTransaction, encodeRlp, Interface, keccak256, recoverAddress } from "ethers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { accountKey } from "../../../../workloads/quorum/accounts.ts";
import artifact from "../../../../workloads/quorum/contracts/Storage.json" with { type: "json" };
import { decodeGet, encodeGet, encodePut } from "../../../../workloads/quorum/storage-contract.ts";
import { addressOf, signPrivateTransaction, signTransaction, toHex } from "../../../../workloads/quorum/transaction.ts";

const key = accountKey(new Uint8Array(32).fill(7), 3);

/** Transactions with every length of every field. */
const transactions = fc.record({
  nonce: fc.integer({ min: 0, max: 2 ** 40 }),
  gasPrice: fc.bigInt({ min: 0n, max: 2n ** 64n }),
  gas: fc.integer({ min: 21_000, max: 2 ** 40 }),
  to: fc.constantFrom(new Uint8Array(), new Uint8Array(20).fill(9), new Uint8Array(20)),
  value: fc.bigInt({ min: 0n, max: 2n ** 128n }),
  data: fc.uint8Array({ maxLength: 300 }),
});

test("accounts are those that the network funds", async () => {
  const text = await readFile("test/fixtures/quorum/keys.json", "utf8");
  const vectors = JSON.parse(text) as { group: string; groupKey: string; ordinal: number; address: string }[];
  const accounts = vectors.filter(({ group }) => group === "account");
  expect(accounts.length).toBeGreaterThan(0);
  for (const { groupKey, ordinal, address } of accounts) {
    const derived = accountKey(new Uint8Array(Buffer.from(groupKey, "hex")), ordinal);
    expect(addressOf(derived)).toBe(address.toLowerCase());
  }
});

test("another library reads a public transaction as it was meant", () => {
  fc.assert(
    fc.property(transactions, fc.integer({ min: 2, max: 2 ** 31 }), (transaction, chainId) => {
      const { raw, hash } = signTransaction(transaction, key, chainId);
      const read = EthersTransaction.from(raw);
      expect(read.from?.toLowerCase()).toBe(addressOf(key));
      expect(read.hash).toBe(hash);
      expect(read).toMatchObject({ type: 0, nonce: transaction.nonce, chainId: BigInt(chainId) });
      expect(read).toMatchObject({ gasPrice: transaction.gasPrice, value: transaction.value });
      expect(read.gasLimit).toBe(BigInt(transaction.gas));
      expect(read.data).toBe(toHex(transaction.data));
      expect(read.to?.toLowerCase() ?? "0x").toBe(toHex(transaction.to));
    }),
    { numRuns: 50 },
  );
});

test("a private transaction has v 37 or 38 and is bound to no chain", () => {
  fc.assert(
    fc.property(transactions, (transaction) => {
      const { raw } = signPrivateTransaction(transaction, key);
      const { signature, serialized } = EthersTransaction.from(raw); // takes v 37 for chain 1
      const { nonce, gasPrice, gas, to, value, data } = transaction;
      const number = (value: bigint) => (value === 0n ? "0x" : `0x${pad(value.toString(16))}`);
      const numbers = [BigInt(nonce), gasPrice, BigInt(gas)].map(number);
      const digest = keccak256(encodeRlp([...numbers, toHex(to), number(value), toHex(data)]));
      expect(recoverAddress(digest, signature ?? "").toLowerCase()).toBe(addressOf(key));
      expect(serialized).toBe(raw);
      expect(signature?.networkV).toBeOneOf([37n, 38n]);
    }),
    { numRuns: 50 },
  );
});

const pad = (hex: string): string => (hex.length % 2 === 0 ? hex : `0${hex}`);

test("calls are encoded as the contract's interface says", () => {
  const contract = new Interface(JSON.stringify(artifact.abi));
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), fc.uint8Array({ maxLength: 200 }), (number, value) => {
      expect(toHex(encodePut(number, value))).toBe(contract.encodeFunctionData("put", [number, value]));
      expect(encodeGet(number)).toBe(contract.encodeFunctionData("get", [number]));
      const answer = decodeGet(AbiCoder.defaultAbiCoder().encode(["bytes"], [value]));
      expect(answer).toEqual(value.length === 0 ? null : value);
    }),
    { numRuns: 50 },
  );
  expect(() => decodeGet("0x")).toThrow("no such contract");
});
