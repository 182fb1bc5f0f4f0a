import { WebSocket } from "ws";
import { z } from "zod";

/** A block as far as a driver looks into it. */
export interface Block {
  readonly number: number;
  /** 0x and hex, like the hashes of its transactions. */
  readonly hash: string;
  readonly parentHash: string;
  readonly transactions: readonly string[];
}

const quantity = z
  .string()
  .regex(/^0x[0-9a-f]+$/)
  .transform(Number);
const headSchema = z.object({ number: quantity, hash: z.string() });
const blockSchema = z.object({
  number: quantity,
  hash: z.string(),
  parentHash: z.string(),
  transactions: z.array(z.string()),
});
const messageSchema = z.union([
  z.object({ id: z.int(), result: z.unknown().optional(), error: z.object({ message: z.string() }).optional() }),
  z.object({ method: z.literal("eth_subscription"), params: z.object({ result: headSchema }) }),
]);

/** Further back than this a stream does not go to catch up. */
const mostMissed = 2_000;
const connectLimitMs = 2_000;

export interface BlockSink {
  /** The stream flows and tells of every block after `base`; `whole` when that is the one asked for. */
  opened(whole: boolean, base: number): void;
  /** A block came; `replayed` when it was there before the stream. Of a changed chain blocks come anew from the fork on. */
  block(block: Block, replayed: boolean): void;
}

/**
 * Follows the new blocks of one node over WebSocket (`eth_subscribe` newHeads) until the signal, beginning after a block,
 * or with those that are still to come.
 *
 * @throws Error when the stream cannot be had or ends.
 */
export async function followBlocks(
  url: string,
  after: number | null,
  sink: BlockSink,
  signal: AbortSignal,
): Promise<void> {
  const socket = await RpcSocket.open(url, signal);
  try {
    const stream = new BlockStream(socket, sink);
    await socket.call("eth_subscribe", ["newHeads"]);
    await stream.catchUp(after); // heads that come meanwhile wait
    await Promise.race([stream.heads(), socket.closed]);
  } finally {
    socket.close();
  }
}

/** The blocks of one stream in order. */
class BlockStream {
  readonly #socket: RpcSocket;
  readonly #sink: BlockSink;
  /** Hashes of the last blocks that were told, by number. */
  readonly #told = new Map<number, string>();
  /** Blocks up to here are not asked for. */
  #base = 0;

  constructor(socket: RpcSocket, sink: BlockSink) {
    this.#socket = socket;
    this.#sink = sink;
  }

  /** Tells what was missed. */
  async catchUp(after: number | null): Promise<void> {
    const latest = await this.#block("eth_getBlockByNumber", "latest");
    const missed = after === null ? 0 : latest.number - after;
    const whole = missed <= mostMissed;
    this.#base = whole && after !== null ? after : latest.number;
    this.#sink.opened(whole, this.#base);
    await this.#tellUpTo(latest, true);
  }

  /** Takes heads one after the other, for ever. */
  async heads(): Promise<never> {
    for (;;) {
      const { hash } = await this.#socket.nextHead();
      await this.#tellUpTo(await this.#block("eth_getBlockByHash", hash), false);
    }
  }

  /** Tells a block, and before it those between it and the last one told that it builds on. */
  async #tellUpTo(head: Block, replayed: boolean): Promise<void> {
    const chain: Block[] = [];
    for (let block = head; block.number > this.#base && this.#told.get(block.number) !== block.hash; ) {
      chain.unshift(block);
      block = await this.#block("eth_getBlockByHash", block.parentHash);
    }
    for (const block of chain) {
      this.#told.set(block.number, block.hash);
      this.#told.delete(block.number - mostMissed);
      this.#sink.block(block, replayed);
    }
  }

  async #block(method: string, which: string): Promise<Block> {
    return blockSchema.parse(await this.#socket.call(method, [which, false]));
  }
}

type Head = z.output<typeof headSchema>;

const messageError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));

/** JSON-RPC over one WebSocket. */
class RpcSocket {
  readonly #socket: WebSocket;
  readonly #calls = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  readonly #heads: Head[] = [];
  #awaited: ((head: Head) => void) | undefined;
  #lastId = 0;
  /** Rejects when the connection is gone. */
  readonly closed: Promise<never>;

  private constructor(socket: WebSocket, signal: AbortSignal) {
    this.#socket = socket;
    this.closed = new Promise((_, reject) => {
      const end = (error: Error): void => {
        for (const call of this.#calls.values()) call.reject(error);
        this.#calls.clear();
        reject(error);
        socket.terminate();
      };
      socket.on("close", (code, reason) => end(new Error(`the node ended the stream: ${code} ${reason}`)));
      socket.on("error", (error) => end(new Error(`the stream broke off: ${error.message}`, { cause: error })));
      signal.addEventListener("abort", () => end(messageError(signal.reason)), { once: true });
      socket.on("message", (data) => {
        try {
          this.#take(String(data));
        } catch (error) {
          end(new Error("the node said what is not JSON-RPC", { cause: error }));
        }
      });
    });
    this.closed.catch(() => undefined); // who has nothing under way need not know
  }

  static async open(url: string, signal: AbortSignal): Promise<RpcSocket> {
    signal.throwIfAborted();
    const socket = new WebSocket(url, { handshakeTimeout: connectLimitMs, perMessageDeflate: false });
    const opened = new RpcSocket(socket, signal);
    await Promise.race([new Promise((resolve) => socket.once("open", resolve)), opened.closed]);
    return opened;
  }

  async call(method: string, params: readonly unknown[]): Promise<unknown> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }));
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }), (error) => {
      if (error) this.#calls.get(id)?.reject(error);
    });
    return await answer;
  }

  async nextHead(): Promise<Head> {
    const head = this.#heads.shift();
    if (head !== undefined) {
      return head;
    }
    return await new Promise((resolve) => {
      this.#awaited = resolve;
    });
  }

  close(): void {
    this.#socket.terminate();
  }

  #take(text: string): void {
    const message = messageSchema.parse(JSON.parse(text));
    if ("method" in message) {
      const awaited = this.#awaited;
      this.#awaited = undefined;
      if (awaited === undefined) this.#heads.push(message.params.result);
      else awaited(message.params.result);
      return;
    }
    const call = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (message.error === undefined) call?.resolve(message.result);
    else call?.reject(new Error(message.error.message));
  }
}
