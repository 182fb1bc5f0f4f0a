import { setTimeout as sleep } from "node:timers/promises";
import type { Wallet } from "ethers";
import type { Accounts } from "./accounts.ts";
import {
  ContractGone,
  findContract,
  type Happening,
  horses,
  type Mined,
  minedIn,
  Refused,
  readHappenings,
  readPoints,
  readStanding,
  type Standing,
  sendCall,
  sendContract,
} from "./contract.ts";
import { log, messageOf } from "./log.ts";
import { highest, type NodeStatus, WatchedNode } from "./nodes.ts";
import { bigQuantity, type JsonRpc, NodeAway } from "./rpc.ts";

/** Nothing can be done now; it may be possible later. For the player's eyes. */
export class Unavailable extends Error {}

export interface Player {
  /** From 0. */
  readonly index: number;
  readonly address: string;
  readonly points: number;
  /** The chain's own currency, whole units. */
  readonly balance: number;
}

/** All that a page shows, as of one look at the chain. */
export interface Snapshot {
  readonly chain?: { readonly id: number; readonly height: number };
  readonly contract?: string;
  /** Why the race cannot go on now. */
  readonly problem?: string;
  readonly horses: readonly string[];
  readonly race?: Standing;
  readonly players: readonly Player[];
  readonly nodes: readonly NodeStatus[];
  readonly happenings: readonly Happening[];
}

export interface CourseOptions {
  readonly nodes: readonly string[];
  readonly accounts: Accounts;
  readonly pollMs: number;
  /** Time a transaction has to get into a block. */
  readonly transactionMs?: number;
}

/** How much less often the chain is looked at while nobody watches: the network is there to be measured, too. */
const idleFactor = 10;
/** Happenings kept for the page. */
const mostHappenings = 30;

/** The race as it is on the chain: looked at again and again, and acted on for the players. */
export class Course {
  readonly #nodes: readonly WatchedNode[];
  readonly #options: CourseOptions;
  readonly #listeners = new Set<(snapshot: string) => void>();
  readonly #stop = new AbortController();
  #pause = new AbortController();
  /** One transaction at a time for each player, so that nonces follow each other. */
  readonly #turns = new Map<number, Promise<unknown>>();
  #loop: Promise<void> | undefined;
  #contract: string | undefined;
  #ready = false;
  #chainId: number | undefined;
  #snapshot: Snapshot;
  #text = "";

  constructor(options: CourseOptions) {
    this.#options = options;
    this.#nodes = options.nodes.map((url) => new WatchedNode(url));
    const players = options.accounts.players.map(({ address }, index) => ({ index, address, points: 0, balance: 0 }));
    this.#snapshot = { problem: "Looking for the chain.", horses, players, nodes: this.#statuses(), happenings: [] };
    this.#text = JSON.stringify(this.#snapshot);
  }

  /** What is known now, as JSON text. */
  get text(): string {
    return this.#text;
  }

  /** Whether the contract was found or deployed since the start. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Calls back with every new snapshot until the returned function is called. */
  listen(listener: (snapshot: string) => void): () => void {
    this.#listeners.add(listener);
    this.#pause.abort();
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#loop ??= this.#watch();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  /** @throws Refused or Unavailable, both with what to tell the player */
  async bet(player: number, horse: number, amount: number): Promise<Mined> {
    return await this.#act(player, "placeBet", [horse, amount]);
  }

  /** @throws Refused or Unavailable, both with what to tell the player */
  async setReady(player: number): Promise<Mined> {
    return await this.#act(player, "setReady", []);
  }

  async #act(player: number, method: "placeBet" | "setReady", args: readonly number[]): Promise<Mined> {
    const before = this.#turns.get(player) ?? Promise.resolve();
    const turn = before.then(() => this.#transact(player, method, args));
    this.#turns.set(
      player,
      turn.catch(() => undefined),
    );
    return await turn;
  }

  async #transact(player: number, method: "placeBet" | "setReady", args: readonly number[]): Promise<Mined> {
    const wallet = this.#options.accounts.players[player];
    const contract = this.#contract;
    const node = highest(this.#nodes);
    if (wallet === undefined) throw new Refused(`There is no player ${player + 1}.`);
    if (node === undefined || contract === undefined) throw new Unavailable(this.#snapshot.problem ?? "Not yet.");
    try {
      const transaction = await sendCall(node.rpc, wallet, contract, method, args);
      return await this.#mined(transaction);
    } catch (error) {
      if (error instanceof NodeAway)
        throw new Unavailable("The node went away. Look, and try again.", { cause: error });
      throw error;
    }
  }

  /** Waits on whichever node is highest: the one it was sent to may go away meanwhile. */
  async #mined(transaction: string): Promise<Mined> {
    const { pollMs, transactionMs = 60_000 } = this.#options;
    const until = Date.now() + transactionMs;
    while (Date.now() < until && !this.#stop.signal.aborted) {
      const node = highest(this.#nodes);
      const mined = node === undefined ? undefined : await ifThere(minedIn(node.rpc, transaction));
      if (mined !== undefined) return mined;
      await sleep(Math.min(pollMs, 200));
    }
    throw new Unavailable(`The transaction ${transaction} is in no block yet. The chain may have halted.`);
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const looks = Promise.all(this.#nodes.map((node) => node.look()));
      await Promise.race([looks, sleep(this.#options.pollMs)]); // a node that hangs delays nobody
      this.#publish(await this.#look());
      await this.#rest();
    }
  }

  /** Ends early when somebody begins to watch. */
  async #rest(): Promise<void> {
    const idle = this.#ready && this.#listeners.size === 0;
    this.#pause = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, this.#pause.signal]);
    await sleep(this.#options.pollMs * (idle ? idleFactor : 1), undefined, { signal }).catch(() => undefined);
  }

  /** One look at the chain. What is not known any more stays as it was, beside the problem. */
  async #look(): Promise<Snapshot> {
    const { problem: _, ...last } = { ...this.#snapshot, nodes: this.#statuses() };
    const node = highest(this.#nodes);
    if (node === undefined) return { ...last, problem: "No node of the network answers. Trying again." };
    try {
      return { ...last, ...(await this.#read(node.rpc, node.status.height ?? 0, last)) };
    } catch (error) {
      const problem = messageOf(error);
      if (problem !== this.#snapshot.problem) log("warn", "the race cannot be read", { node: node.rpc.url, problem });
      if (!(error instanceof ContractGone)) return { ...last, problem };
      this.#contract = undefined;
      this.#chainId = undefined;
      const { race: __, contract: ___, ...rest } = last;
      return { ...rest, happenings: [], problem };
    }
  }

  async #read(rpc: JsonRpc, height: number, last: Snapshot): Promise<Partial<Snapshot>> {
    this.#chainId ??= Number(await rpc.call("eth_chainId", [], bigQuantity));
    const chain = { id: this.#chainId, height };
    const contract = await this.#attach(rpc);
    if (contract === undefined) return { chain, problem: "Putting the race on the chain." };
    if (last.chain?.height === height && last.contract === contract) return { chain };
    const race = await readStanding(rpc, contract);
    const changed = JSON.stringify(race) !== JSON.stringify(last.race);
    const players = await Promise.all(
      this.#options.accounts.players.map((one, index) => read(rpc, contract, one, index)),
    );
    const happenings = changed ? (await readHappenings(rpc, contract, height)).slice(-mostHappenings) : last.happenings;
    return { chain, contract, race, players, happenings };
  }

  /** The contract's address once it is on the chain; sends its creation when it is not. */
  async #attach(rpc: JsonRpc): Promise<string | undefined> {
    if (this.#contract !== undefined) return this.#contract;
    const { deployer } = this.#options.accounts;
    this.#contract = await findContract(rpc, deployer.address);
    this.#ready ||= this.#contract !== undefined;
    if (this.#contract === undefined) await sendContract(rpc, deployer);
    else log("info", "the race is on the chain", { contract: this.#contract });
    return this.#contract;
  }

  #publish(snapshot: Snapshot): void {
    const text = JSON.stringify(snapshot);
    this.#snapshot = snapshot;
    if (text === this.#text) return;
    this.#text = text;
    for (const listener of this.#listeners) listener(text);
  }

  #statuses(): NodeStatus[] {
    return this.#nodes.map(({ status }) => status);
  }
}

async function read(rpc: JsonRpc, contract: string, { address }: Wallet, index: number): Promise<Player> {
  const points = await readPoints(rpc, contract, address);
  const wei = await rpc.call("eth_getBalance", [address, "latest"], bigQuantity);
  return { index, address, points, balance: Number(wei / 10n ** 12n) / 1e6 };
}

/** Undefined when the node is away: another one, or a later time, will tell. */
async function ifThere<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof NodeAway) return undefined;
    throw error;
  }
}
