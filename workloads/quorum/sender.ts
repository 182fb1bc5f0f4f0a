import { setTimeout as sleep } from "node:timers/promises";
import type { OperationContext, Outcome } from "../core/connector.ts";
import type { Account } from "./accounts.ts";
import type { Inclusions, Receipt } from "./inclusions.ts";
import { type NodeRpc, RpcRefusal, RpcSilence } from "./rpc.ts";
import { type Signed, signTransaction, type Transaction } from "./transaction.ts";

/** With less time than this left nothing is tried again. */
const leastAttemptMs = 20;
/** A node that has answered nothing for this long is left for another; one that is merely slow is not. */
const attemptLimitMs = 2_000;
const pauseMs = 20;
/** A transaction that is in no block after this time is handed to another node as well. */
const firstInsistenceMs = 4_000;
/** How long a node that did not answer is left alone while others are there. */
const avoidMs = 1_000;

/** What is to be sent, without what the account and the chain say. */
export type Content = Pick<Transaction, "to" | "value" | "data" | "gas">;

/** How a transaction is signed and handed to a node. */
export interface Way {
  readonly sign: (transaction: Transaction, account: Account) => Signed;
  readonly method: string;
  readonly parameters: (signed: Signed) => readonly unknown[];
  /** The only node it can go to, and that knows how it ended; any one when absent. */
  readonly node?: NodeRpc;
}

type Time = Pick<OperationContext, "remainingMs">;

/** What came of handing a transaction to nodes; `surelyNot`: none has it. */
interface Handed {
  readonly endpoint: number;
  readonly attempts: number;
  readonly code: string | undefined;
  readonly surelyNot: boolean;
}

export interface Chain {
  readonly id: number;
  readonly gasPrice: bigint;
}

/** The way of a public transaction. */
export function publicWay({ id }: Pick<Chain, "id">): Way {
  return {
    sign: (transaction, account) => signTransaction(transaction, account.key, id),
    method: "eth_sendRawTransaction",
    parameters: ({ raw }) => [raw],
  };
}

/** What a node's refusal means, by the words of geth's pool (core/error.go, core/tx_pool.go). */
const refusals: readonly (readonly [RegExp, "known" | "low" | "taken" | string])[] = [
  [/already known|known transaction/, "known"],
  [/nonce too low/, "low"],
  [/replacement transaction underpriced/, "taken"],
  [/txpool is full/, "txpool_full"],
  [/insufficient funds/, "insufficient_funds"],
  [/exceeds block gas limit|intrinsic gas too low/, "gas"],
  [/oversized data|exceeds max/, "too_large"],
  [/transaction underpriced|gas price/i, "underpriced"],
];

const meaningOf = (refusal: RpcRefusal): string =>
  refusals.find(([pattern]) => pattern.test(refusal.message))?.[1] ?? "refused";

/** Sends transactions of a worker's accounts and waits for their receipts. */
export class Sender {
  readonly #chain: Chain;
  readonly #nodes: readonly NodeRpc[];
  readonly #accounts: readonly Account[];
  readonly #inclusions: Inclusions;
  readonly #avoidUntilMs = new Map<NodeRpc, number>();
  #turn = 0;

  constructor(chain: Chain, nodes: readonly NodeRpc[], accounts: readonly Account[], inclusions: Inclusions) {
    this.#chain = chain;
    this.#nodes = nodes;
    this.#accounts = accounts;
    this.#inclusions = inclusions;
  }

  /**
   * Sends one transaction, to node after node until one takes it, and settles when it is in a block or the time is up.
   * It succeeds when it did not revert.
   */
  async send(content: Content, way: Way, context: Time): Promise<Outcome> {
    const account = this.#nextAccount();
    const home = this.#accounts.indexOf(account); // one node for an account keeps its transactions in order
    for (let attempts = 1; ; attempts += 1) {
      const node = way.node ?? this.node(home);
      const attempt = await this.#attempt(account, content, way, node, context);
      const sent = { ...attempt, attempts: attempts + attempt.attempts - 1 };
      if (sent.code !== "nonce" || context.remainingMs() < leastAttemptMs) {
        return sent;
      }
      await sleep(pauseMs);
    }
  }

  /** The node with this number, counted round, or the next one that is not to be avoided. */
  node(number: number): NodeRpc {
    const now = performance.now();
    const inTurn = this.#nodes.map((_, step) => this.#nodes[(number + step) % this.#nodes.length]);
    const node = inTurn.find((candidate) => candidate && (this.#avoidUntilMs.get(candidate) ?? 0) <= now) ?? inTurn[0];
    if (node === undefined) {
      throw new Error("the network has no members");
    }
    return node;
  }

  /** Leaves a node that did not answer alone for a while. */
  avoid(node: NodeRpc): void {
    this.#avoidUntilMs.set(node, performance.now() + avoidMs);
  }

  #nextAccount(): Account {
    const account = this.#accounts[this.#turn % this.#accounts.length];
    if (account === undefined) {
      throw new Error("the worker has no accounts");
    }
    this.#turn += 1;
    return account;
  }

  /** One transaction with one nonce; `code` is `nonce` when another nonce may do. */
  async #attempt(account: Account, content: Content, way: Way, first: NodeRpc, context: Time): Promise<Outcome> {
    try {
      await account.ready(first);
    } catch (error) {
      this.avoid(first);
      return { ok: false, code: codeOf(error), endpoint: first.endpoint.ordinal, attempts: 1 };
    }
    const nonce = account.take();
    const signed = way.sign({ ...content, nonce, gasPrice: this.#chain.gasPrice }, account);
    account.sending(nonce, signed);
    const receipt = this.#inclusions.expect(signed.hash, context.remainingMs(), way.node);
    const handed = await this.#hand(signed, way, first, context);
    const { endpoint, attempts } = handed;
    if (handed.code !== undefined) {
      this.#inclusions.forget(signed.hash);
      this.#takeBack(account, nonce, handed);
      return { ok: false, code: handed.code, endpoint, attempts };
    }
    const found = await this.#insist(receipt, signed, way, endpoint, context);
    if (found === undefined) {
      account.doubt();
      return { ok: false, code: "timeout", endpoint, attempts };
    }
    account.settled(nonce);
    const how = { endpoint, attempts };
    return found.status === 1 ? { ok: true, event: signed.hash, ...how } : { ok: false, code: "reverted", ...how };
  }

  /**
   * Waits for a receipt. A node that took a transaction may die before it told another, so one that is in no block after
   * some time goes to the next node too, at ever longer intervals.
   */
  async #insist(receipt: Promise<Receipt | undefined>, signed: Signed, way: Way, taker: number, { remainingMs }: Time) {
    let pauseMs = firstInsistenceMs;
    for (let turn = taker + 1; way.node === undefined && remainingMs() > pauseMs; turn += 1) {
      if (await endsWithin(receipt, pauseMs)) break;
      const again = this.node(turn).call(way.method, way.parameters(signed), attemptLimitMs);
      await again.catch(() => undefined); // most often because it is known already; the receipt tells
      pauseMs *= 2;
    }
    return await receipt;
  }

  /** What a transaction that no node took means for its nonce. */
  #takeBack(account: Account, nonce: number, { code, surelyNot }: Handed): void {
    if (code === "nonce") {
      account.settled(nonce); // another transaction has it
      account.doubt();
    } else if (surelyNot) {
      account.giveBack(nonce);
    } else {
      account.doubt();
    }
  }

  /** Hands a transaction to a node, to the next where one does not answer: it is the same transaction everywhere. */
  async #hand(signed: Signed, way: Way, first: NodeRpc, { remainingMs }: Time): Promise<Handed> {
    let surelyNot = true;
    let node = first;
    for (let attempts = 1; ; attempts += 1) {
      const { ordinal: endpoint } = node.endpoint;
      try {
        const patienceMs = remainingMs();
        await node.call(way.method, way.parameters(signed), Math.min(attemptLimitMs, patienceMs), patienceMs);
        return { endpoint, attempts, code: undefined, surelyNot: false };
      } catch (error) {
        if (error instanceof RpcRefusal) {
          const meaning = meaningOf(error);
          if (meaning === "known" || (meaning === "low" && !surelyNot)) {
            return { endpoint, attempts, code: undefined, surelyNot: false }; // it is there, or was, by an earlier attempt
          }
          return { endpoint, attempts, code: meaning === "low" || meaning === "taken" ? "nonce" : meaning, surelyNot };
        }
        surelyNot &&= error instanceof RpcSilence && !error.sent;
        this.avoid(node);
        if (remainingMs() < leastAttemptMs) {
          return { endpoint, attempts, code: codeOf(error), surelyNot };
        }
        await sleep(pauseMs);
        node = way.node ?? this.node(endpoint + 1);
      }
    }
  }
}

/** Without an abort signal: its error, made for each transaction, was a tenth of the driver's CPU. */
async function endsWithin(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const ended = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return ended;
}

/** A short stable word for what went wrong between driver and node. */
export function codeOf(error: unknown): string {
  if (error instanceof RpcRefusal) {
    return meaningOf(error);
  }
  if (error instanceof RpcSilence) {
    return error.timedOut ? "timeout" : error.sent ? "reset" : "unreachable";
  }
  throw error;
}
