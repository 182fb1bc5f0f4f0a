import { setTimeout as sleep } from "node:timers/promises";
import { CID } from "multiformats/cid";
import * as digest from "multiformats/hashes/digest";
import { z } from "zod";

/** The anchor contract that Ceramic nodes accept; on a chain of one's own nothing needs to be there. */
const contract = "0x231055A0852D67C7107Ad0d0DFeab60278fE6AdC";
/** First four bytes of keccak256("anchorDagCbor(bytes32)"). */
const selector = "0x97ad09eb";
const requestLimitMs = 30_000;
const receiptLimitMs = 120_000;

/** A transaction that a block holds. */
export interface AnchorTransaction {
  readonly txHash: string;
  readonly blockNumber: number;
}

/** An Ethereum JSON-RPC whose first account may be used. */
export class Chain {
  readonly #url: string;
  #requests = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** The chain's name in CAIP-2, e.g. `eip155:1337`. */
  async id(): Promise<string> {
    return `eip155:${Number(z.string().parse(await this.#call("eth_chainId", [])))}`;
  }

  /**
   * Has a root written into a block.
   *
   * @throws Error when the chain does not answer, or the transaction does not get into a block in time
   */
  async anchor(root: CID): Promise<AnchorTransaction> {
    const [from] = z
      .array(z.string())
      .min(1)
      .parse(await this.#call("eth_accounts", []));
    const data = `${selector}${Buffer.from(root.multihash.digest).toString("hex")}`;
    const txHash = z.string().parse(await this.#call("eth_sendTransaction", [{ from, to: contract, data }]));
    for (const until = Date.now() + receiptLimitMs; Date.now() < until; await sleep(200)) {
      const receipt = receiptSchema.parse(await this.#call("eth_getTransactionReceipt", [txHash]));
      if (receipt === null) continue;
      if (Number(receipt.status) !== 1) throw new Error(`transaction ${txHash} was reverted`);
      return { txHash, blockNumber: Number(receipt.blockNumber) };
    }
    throw new Error(`transaction ${txHash} is in no block after ${receiptLimitMs / 1000} s`);
  }

  async #call(method: string, params: readonly unknown[]): Promise<unknown> {
    const answer = await fetch(this.#url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: ++this.#requests, method, params }),
      signal: AbortSignal.timeout(requestLimitMs),
    });
    const { result, error } = answerSchema.parse(await answer.json());
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }
}

const receiptSchema = z.object({ status: z.string(), blockNumber: z.string() }).nullable();
const answerSchema = z.object({ result: z.unknown().optional(), error: z.object({ message: z.string() }).optional() });

/** The CID of a transaction: eth-tx over its keccak-256. */
export const transactionCid = (txHash: string): CID =>
  CID.createV1(0x93, digest.create(0x1b, Buffer.from(txHash.slice(2), "hex")));
