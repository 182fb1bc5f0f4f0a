import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { keccak256, Transaction, toUtf8Bytes } from "ethers";
import { type WebSocket, WebSocketServer } from "ws";
import type { Endpoint } from "../../schema/run.ts";

interface StubBlock {
  readonly number: number;
  readonly hash: string;
  readonly parentHash: string;
  readonly transactions: readonly string[];
}

/** What a node does with the next transaction it is given. */
export type Mood =
  | "take"
  /** Answers that it took it, and forgets it. */
  | "drop"
  /** Takes it, and ends the connection without an answer. */
  | "silent"
  /** Ends the connection without having taken it. */
  | "refuse-connection"
  | "full";

const hex = (value: number): string => `0x${value.toString(16)}`;
const ownerOf = ({ from }: Transaction): string => (from ?? "").toLowerCase();
const zeroHash = `0x${"00".repeat(32)}`;

/**
 * Nodes of one chain that behave as geth does, in this process: pools by nonce, blocks when a test asks for one, the
 * chain's own errors. Contracts are not executed: a call is answered by a function, a transaction reverts if asked to.
 */
export class StubChain {
  readonly nodes: StubNode[] = [];
  readonly chainId = 1337;
  /** Transactions whose data begins so (0x and hex) revert. */
  reverting: string | undefined;
  /** How many times more a receipt is asked for before nodes have it. */
  lateReceipts = 0;
  /** Whether the nodes have GraphQL. */
  graphql = true;
  answerCall: (data: string) => string = () => "0x";
  /** Next nonce of each account, by the blocks. */
  readonly #mined = new Map<string, number>();
  readonly #pool = new Map<string, Transaction>();
  #blocks: StubBlock[] = [{ number: 0, hash: zeroHash, parentHash: zeroHash, transactions: [] }];
  #forks = 0;

  static async create(count: number): Promise<StubChain> {
    const chain = new StubChain();
    for (let ordinal = 0; ordinal < count; ordinal += 1) {
      chain.nodes.push(await StubNode.start(chain, ordinal));
    }
    return chain;
  }

  get endpoints(): Endpoint[] {
    return this.nodes.map(({ endpoint }) => endpoint);
  }

  get head(): StubBlock {
    const head = this.#blocks.at(-1);
    if (head === undefined) throw new Error("there is no first block");
    return head;
  }

  get pooled(): number {
    return this.#pool.size;
  }

  node(ordinal: number): StubNode {
    const node = this.nodes[ordinal];
    if (node === undefined) throw new Error(`no node ${ordinal}`);
    return node;
  }

  /** Makes a block of what is next for each account, and tells everybody. */
  mine(): StubBlock {
    const transactions: string[] = [];
    for (const transaction of [...this.#pool.values()].sort((a, b) => a.nonce - b.nonce)) {
      const from = ownerOf(transaction);
      if (transaction.nonce !== this.nonceOf(from)) continue;
      this.#mined.set(from, transaction.nonce + 1);
      this.#pool.delete(`${from} ${transaction.nonce}`);
      transactions.push(transaction.hash ?? "");
    }
    return this.#append(transactions);
  }

  /** Replaces the head by another block with the same transactions, and builds one on it. */
  fork(): void {
    const dropped = this.#blocks.pop();
    this.#append(dropped?.transactions ?? []);
    this.#append([]);
  }

  /** Somebody else uses an account. */
  useNonce(from: string): void {
    this.#mined.set(from, this.nonceOf(from) + 1);
  }

  nonceOf(from: string): number {
    return this.#mined.get(from) ?? 0;
  }

  /** The lowest nonce that is neither in a block nor, without a gap, in the pool. */
  pendingNonceOf(from: string): number {
    let nonce = this.nonceOf(from);
    while (this.#pool.has(`${from} ${nonce}`)) nonce += 1;
    return nonce;
  }

  /** @throws Error in geth's words. */
  take(transaction: Transaction): void {
    const from = ownerOf(transaction);
    const known = this.#pool.get(`${from} ${transaction.nonce}`);
    if (known?.hash === transaction.hash) throw new Error("already known");
    if (transaction.nonce < this.nonceOf(from)) throw new Error("nonce too low");
    if (known !== undefined) throw new Error("replacement transaction underpriced");
    this.#pool.set(`${from} ${transaction.nonce}`, transaction);
    this.#sent.set(transaction.hash ?? "", transaction);
  }

  readonly #sent = new Map<string, Transaction>();

  blockBy(which: string): StubBlock | undefined {
    if (which === "latest") return this.head;
    return this.#blocks.find(({ number, hash }) => hash === which || hex(number) === which);
  }

  receiptOf(transaction: string): Record<string, unknown> | null {
    const block = this.#blocks.find(({ transactions }) => transactions.includes(transaction));
    if (block === undefined) return null;
    const { to = null, data = "0x" } = this.#sent.get(transaction) ?? {};
    const reverted = this.reverting !== undefined && data.startsWith(this.reverting);
    const contractAddress = to === null ? `0x${transaction.slice(2, 42)}` : null;
    return { status: reverted ? "0x0" : "0x1", blockNumber: hex(block.number), contractAddress };
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }

  #append(transactions: readonly string[]): StubBlock {
    this.#forks += 1;
    const hash = keccak256(toUtf8Bytes(`block ${this.#forks}`));
    const block = { number: this.head.number + 1, hash, parentHash: this.head.hash, transactions };
    this.#blocks.push(block);
    for (const node of this.nodes) node.tell(block);
    return block;
  }
}

/** One node: JSON-RPC over HTTP and WebSocket. */
export class StubNode {
  readonly endpoint: Endpoint;
  /** For the transactions that come, in order; `take` when there are none. */
  readonly moods: Mood[] = [];
  /** Methods that were called, over HTTP. */
  readonly calls: string[] = [];
  readonly #chain: StubChain;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #subscribers = new Set<WebSocket>();

  private constructor(chain: StubChain, ordinal: number, http: Server) {
    this.#chain = chain;
    this.#http = http;
    const { port } = http.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    this.endpoint = {
      group: "validator",
      ordinal,
      pod: `quorum-${ordinal}`,
      url,
      attributes: { ws: `ws://127.0.0.1:${port}` },
    };
    http.on("request", (request, response) => void this.#serve(request, response));
    this.#sockets = new WebSocketServer({ server: http });
    this.#sockets.on("connection", (socket) => this.#converse(socket));
  }

  static async start(chain: StubChain, ordinal: number): Promise<StubNode> {
    const http = createServer().listen(0, "127.0.0.1");
    await once(http, "listening");
    return new StubNode(chain, ordinal, http);
  }

  get subscribers(): number {
    return this.#subscribers.size;
  }

  tell({ number, hash }: StubBlock): void {
    const params = { subscription: "0x1", result: { number: hex(number), hash } };
    for (const socket of this.#subscribers) {
      socket.send(JSON.stringify({ jsonrpc: "2.0", method: "eth_subscription", params }));
    }
  }

  /** Ends the streams of blocks. */
  breakStreams(): void {
    for (const socket of this.#subscribers) socket.terminate();
    this.#subscribers.clear();
  }

  async close(): Promise<void> {
    this.breakStreams();
    this.#sockets.close();
    this.#http.closeAllConnections();
    await once(this.#http.close(), "close");
  }

  #converse(socket: WebSocket): void {
    socket.on("message", (data) => {
      const { id, method, params } = JSON.parse(String(data));
      if (method === "eth_subscribe") this.#subscribers.add(socket);
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, ...this.#answer(method, params) }));
    });
    socket.on("close", () => this.#subscribers.delete(socket));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const chunk of request) text += chunk;
    if (request.url === "/graphql") {
      this.#tellStatuses(JSON.parse(text).query, response);
      return;
    }
    const answers: unknown[] = [];
    for (const { id, method, params } of JSON.parse(text)) {
      this.calls.push(method);
      const mood = method === "eth_sendRawTransaction" ? this.moods.shift() : undefined;
      if (mood === "refuse-connection") {
        request.socket.destroy();
        return;
      }
      const answer = this.#answer(method, params, mood);
      if (mood === "silent") {
        request.socket.destroy();
        return;
      }
      answers.push({ jsonrpc: "2.0", id, ...answer });
    }
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answers));
  }

  #tellStatuses(query: string, response: ServerResponse): void {
    this.calls.push("graphql");
    const [, hash = ""] = /block\(hash:"(\w+)"\)/.exec(query) ?? [];
    const transactions = this.#chain.blockBy(hash)?.transactions.map((transaction) => {
      return { hash: transaction, status: Number(this.#chain.receiptOf(transaction)?.status) };
    });
    response.statusCode = this.#chain.graphql ? 200 : 404;
    response.end(JSON.stringify({ data: { block: transactions && { transactions } } }));
  }

  #answer(method: string, params: readonly never[], mood?: Mood): Record<string, unknown> {
    try {
      return { result: this.#result(method, params, mood) };
    } catch (error) {
      return { error: { code: -32000, message: (error as Error).message } };
    }
  }

  #result(method: string, params: readonly never[], mood?: Mood): unknown {
    const [first, second] = params as unknown as readonly [string, string];
    const chain = this.#chain;
    switch (method) {
      case "eth_chainId":
        return hex(chain.chainId);
      case "eth_gasPrice":
        return "0x0";
      case "eth_blockNumber":
        return hex(chain.head.number);
      case "eth_subscribe":
        return "0x1";
      case "eth_getBlockByNumber":
      case "eth_getBlockByHash": {
        const block = chain.blockBy(first);
        return block === undefined ? null : { ...block, number: hex(block.number) };
      }
      case "eth_getTransactionCount":
        return hex(second === "pending" ? chain.pendingNonceOf(first) : chain.nonceOf(first));
      case "eth_getTransactionReceipt":
        return chain.lateReceipts-- > 0 ? null : chain.receiptOf(first);
      case "eth_call":
        return chain.answerCall((params[0] as unknown as { data: string }).data);
      case "eth_sendRawTransaction":
        return this.#take(first, mood);
      default:
        throw new Error(`the method ${method} does not exist/is not available`);
    }
  }

  #take(raw: string, mood: Mood = "take"): string {
    const transaction = Transaction.from(raw);
    if (mood === "full") throw new Error("txpool is full");
    if (mood !== "drop") this.#chain.take(transaction);
    return transaction.hash ?? "";
  }
}
