import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { messageOf } from "../../schema/errors.ts";
import { log } from "../core/log.ts";
import { type Block, type BlockSink, followBlocks } from "./blocks.ts";
import type { NodeRpc } from "./rpc.ts";

const receiptSchema = z.object({
  status: z.string().transform(Number),
});

/** How a transaction that is in a block ended: 1 well, 0 not. */
export type Receipt = z.output<typeof receiptSchema>;

interface Waiting {
  /** Node that knows how it ended; only its parties know that of a private one. */
  readonly node: NodeRpc | undefined;
  readonly resolve: (receipt: Receipt | undefined) => void;
  readonly timer: NodeJS.Timeout;
  /** It is in a block, and its end is being asked for. */
  settling: boolean;
}

/** A node that tells of no block for this long, while some are waited for and another has more, is left for the next. */
const silenceMs = 4_000;
const reopenPauseMs = 200;
const receiptLimitMs = 5_000;
const statusesAttempts = 6;
/** Between two times of asking: a node may tell of a block a little before another has it. */
const receiptPauseMs = 50;
const longestReceiptPauseMs = 1_000;

/**
 * Tells when transactions are in a block: one stream of blocks for all of them, from one node at a time, and the receipts
 * of those that are waited for. Nothing is asked for each transaction while it waits.
 */
export class Inclusions {
  readonly #nodes: readonly NodeRpc[];
  readonly #waiting = new Map<string, Waiting>();
  readonly #closed = new AbortController();
  readonly #ended: Promise<void>;
  #stream: AbortController | undefined;
  #heardMs = performance.now();
  #last: number | null = null;

  /** @param first Number of the node to begin with. */
  constructor(nodes: readonly NodeRpc[], first: number) {
    this.#nodes = nodes;
    this.#ended = this.#follow(first);
  }

  /**
   * The receipt of a transaction, once it is in a block; undefined when that takes too long, or nobody waits any more.
   *
   * @param hash Of the transaction, before it is sent.
   * @param node The only one to ask for the receipt; any one when absent.
   */
  expect(hash: string, limitMs: number, node?: NodeRpc): Promise<Receipt | undefined> {
    if (this.#waiting.size === 0) {
      this.#heardMs = performance.now(); // until now there was nothing to be heard
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.forget(hash), Math.max(0, limitMs));
      this.#waiting.set(hash, { node, resolve, timer, settling: false });
    });
  }

  /** Nobody waits for the transaction any more. */
  forget(hash: string): void {
    this.#end(hash, undefined);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#stream?.abort();
    for (const hash of this.#waiting.keys()) {
      this.forget(hash);
    }
    await this.#ended;
  }

  #end(hash: string, receipt: Receipt | undefined): void {
    const waiting = this.#waiting.get(hash);
    this.#waiting.delete(hash);
    clearTimeout(waiting?.timer);
    waiting?.resolve(receipt);
  }

  async #follow(first: number): Promise<void> {
    const watch = setInterval(() => void this.#leaveSilent(), silenceMs / 4);
    for (let turn = first; !this.#closed.signal.aborted; turn += 1) {
      const node = this.#nodes[turn % this.#nodes.length];
      if (node !== undefined) {
        await this.#stay(node);
        await sleep(reopenPauseMs);
      }
    }
    clearInterval(watch);
  }

  async #stay(node: NodeRpc): Promise<void> {
    this.#stream = new AbortController();
    this.#heardMs = performance.now();
    const sink: BlockSink = {
      opened: (_whole, base) => {
        this.#last = base;
      },
      block: (block) => this.#block(block, node),
    };
    try {
      await followBlocks(node.endpoint.attributes?.ws ?? "", this.#last, sink, this.#stream.signal);
    } catch (error) {
      if (!this.#closed.signal.aborted) {
        log("warn", "the blocks of a node can be followed no more", {
          node: node.endpoint.pod,
          problem: messageOf(error),
        });
      }
    }
  }

  /** Leaves a node that tells of nothing while another is further; where all stand still, the chain does. */
  async #leaveSilent(): Promise<void> {
    if (this.#waiting.size === 0 || performance.now() - this.#heardMs < silenceMs) {
      return;
    }
    this.#heardMs = performance.now(); // asked again after as long a silence
    const stream = this.#stream;
    const heights = await Promise.all(this.#nodes.map(heightOf));
    const further = heights.findIndex((height) => height > (this.#last ?? -1));
    if (further !== -1) {
      stream?.abort(
        new Error(`it has told of no block for ${silenceMs} ms, and ${this.#nodes[further]?.endpoint.pod} has more`),
      );
    }
  }

  #block({ number, hash: block, transactions }: Block, node: NodeRpc): void {
    this.#heardMs = performance.now();
    this.#last = number;
    const own = transactions.filter((hash) => this.#waiting.get(hash)?.settling === false);
    for (const hash of own) {
      const waiting = this.#waiting.get(hash);
      if (waiting !== undefined) waiting.settling = true;
    }
    if (own.length > 0) {
      void this.#settle(block, own, node);
    }
  }

  /** Finds out how transactions of one block ended: all at once if a node can tell, and one by one what is left. */
  async #settle(block: string, hashes: readonly string[], teller: NodeRpc): Promise<void> {
    const anybodys: string[] = [];
    for (const hash of hashes) {
      const only = this.#waiting.get(hash)?.node;
      if (only === undefined) anybodys.push(hash);
      else void this.#settleOne(hash, only, teller); // others know nothing of a private one
    }
    const statuses = anybodys.length === 0 ? undefined : await this.#statuses(block, teller);
    for (const hash of anybodys) {
      const status = statuses?.get(hash);
      if (status === undefined) void this.#settleOne(hash, undefined, teller);
      else this.#end(hash, { status });
    }
  }

  /** A slow node is asked again, or another: receipts would cost it, and all others, far more. */
  async #statuses(block: string, teller: NodeRpc): Promise<ReadonlyMap<string, number> | undefined> {
    for (let turn = 0; turn < statusesAttempts && !this.#closed.signal.aborted; turn += 1) {
      const node = turn === 0 ? teller : (this.#nodes[turn % this.#nodes.length] ?? teller);
      const statuses = await node.statuses(block, receiptLimitMs);
      if (statuses !== undefined || !node.hasGraphql) {
        return statuses;
      }
      await sleep(receiptPauseMs);
    }
    return undefined;
  }

  async #settleOne(hash: string, only: NodeRpc | undefined, teller: NodeRpc): Promise<void> {
    let pauseMs = receiptPauseMs;
    for (let attempt = 0; this.#waiting.has(hash); attempt += 1) {
      const node = only ?? (attempt % 2 === 0 ? teller : this.#nodes[attempt % this.#nodes.length]) ?? teller;
      const answer = await node.call("eth_getTransactionReceipt", [hash], receiptLimitMs).catch(() => null); // asked again
      if (answer !== null) {
        this.#end(hash, receiptSchema.parse(answer));
        return;
      }
      await sleep(pauseMs);
      pauseMs = Math.min(2 * pauseMs, longestReceiptPauseMs);
    }
  }
}

/** Number of a node's last block, -1 when it does not answer. */
async function heightOf(node: NodeRpc): Promise<number> {
  const answer = await node.call("eth_blockNumber", [], receiptLimitMs).catch(() => "-1");
  return Number(answer);
}
