import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { messageOf } from "../../schema/errors.ts";
import { log } from "../core/log.ts";
import { type Block, type BlockSink, followBlocks } from "./blocks.ts";
import type { NodeRpc } from "./rpc.ts";

const receiptSchema = z.object({
  status: z.string().transform(Number),
  blockNumber: z.string().transform(Number),
  contractAddress: z.string().nullish(),
});

/** What a receipt tells of a transaction. */
export type Receipt = z.output<typeof receiptSchema>;

interface Waiting {
  /** Node that knows how it ended; only its parties know that of a private one. */
  readonly node: NodeRpc | undefined;
  readonly resolve: (receipt: Receipt | undefined) => void;
  readonly timer: NodeJS.Timeout;
}

/** A node that tells of no block for this long while some are waited for is left for the next. */
const silenceMs = 4_000;
const reopenPauseMs = 200;
const receiptLimitMs = 2_000;
/** A node may tell of a block a little before another has it. */
const receiptAttempts = 40;
const receiptPauseMs = 50;

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
      this.#waiting.set(hash, { node, resolve, timer });
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
    const watch = setInterval(() => this.#leaveSilent(), silenceMs / 4);
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

  #leaveSilent(): void {
    if (this.#waiting.size > 0 && performance.now() - this.#heardMs > silenceMs) {
      this.#stream?.abort(new Error(`it told of no block for ${silenceMs} ms`));
    }
  }

  #block({ number, transactions }: Block, node: NodeRpc): void {
    this.#heardMs = performance.now();
    this.#last = number;
    for (const hash of transactions) {
      const waiting = this.#waiting.get(hash);
      if (waiting !== undefined) {
        void this.#settle(hash, waiting.node, node);
      }
    }
  }

  async #settle(hash: string, only: NodeRpc | undefined, teller: NodeRpc): Promise<void> {
    for (let attempt = 0; attempt < receiptAttempts && this.#waiting.has(hash); attempt += 1) {
      const node = only ?? (attempt % 2 === 0 ? teller : this.#nodes[attempt % this.#nodes.length]) ?? teller;
      const answer = await node.call("eth_getTransactionReceipt", [hash], receiptLimitMs).catch(() => null); // asked again
      if (answer !== null) {
        this.#end(hash, receiptSchema.parse(answer));
        return;
      }
      await sleep(receiptPauseMs);
    }
  }
}
