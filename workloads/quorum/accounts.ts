import { hkdfSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { NodeRpc } from "./rpc.ts";
import { addressOf, type Signed } from "./transaction.ts";

const setUpLimitMs = 10_000;
const rebroadcastLimitMs = 2_000;

const quantity = z.string().transform(BigInt);

/**
 * Private key of account number n: HKDF-SHA256 of the key in the credentials, as components/quorum/keys.ts derives it.
 *
 * @param accountsKey 32 bytes.
 */
export function accountKey(accountsKey: Uint8Array, ordinal: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", accountsKey, "orrery/v1", `account/${ordinal}/secp256k1`, 32));
}

/** What the network gives drivers to sign with. */
export interface Credentials {
  /** Accounts are derived from it, see {@link accountKey}; 32 bytes. */
  readonly accountsKey: Uint8Array;
  /** Accounts with a balance in the first block: those with a lower number than this. */
  readonly accounts: number;
}

/** Reads the files `accounts-key`, 64 hex digits, and `accounts`, a number, of the credentials' folder. */
export async function readCredentials(folder: string | undefined): Promise<Credentials> {
  if (folder === undefined) {
    throw new Error("the network gives no credentials: drivers have no accounts to sign with");
  }
  const read = async (file: string, pattern: RegExp, what: string) => {
    const text = (await readFile(join(folder, file), "utf8")).trim();
    if (!pattern.test(text)) throw new Error(`${join(folder, file)} must hold ${what}`);
    return text;
  };
  const accountsKey = await read("accounts-key", /^[0-9a-f]{64}$/, "64 hex digits");
  const accounts = await read("accounts", /^[1-9][0-9]*$/, "a number");
  return { accountsKey: new Uint8Array(Buffer.from(accountsKey, "hex")), accounts: Number(accounts) };
}

/**
 * The accounts of one worker. They are shared out among workers, so that no account has two owners and each owner knows
 * its nonces.
 *
 * @throws Error when there is none for this worker.
 */
export async function ownAccounts(
  { accountsKey, accounts }: Credentials,
  node: NodeRpc,
  { worker, workers }: { readonly worker: number; readonly workers: number },
): Promise<Account[]> {
  const ordinals = Array.from({ length: accounts }, (_, ordinal) => ordinal).filter((n) => n % workers === worker);
  if (ordinals.length === 0) {
    const fix = "set network.accounts to as many as there are workers, or more";
    throw new Error(`${accounts} accounts leave none for worker ${worker} of ${workers}; ${fix}`);
  }
  const own = ordinals.map((ordinal) => new Account(accountKey(accountsKey, ordinal)));
  await Promise.all(own.map((account) => account.recover(node)));
  return own;
}

/**
 * One account and its nonces, which are counted here: asking the node for each would cost a round trip and could not
 * tell what is under way. A transaction whose end is not known keeps its nonce; it is sent again when the account is
 * next used, because all later ones wait for it.
 */
export class Account {
  readonly key: Uint8Array;
  /** 0x and hex. */
  readonly address: string;
  readonly #unsettled = new Map<number, Signed>();
  readonly #free: number[] = [];
  #next = 0;
  #doubtful = false;
  #recovery: Promise<void> | undefined;

  constructor(key: Uint8Array) {
    this.key = key;
    this.address = addressOf(key);
  }

  /** The lowest nonce that nobody has. */
  take(): number {
    const free = this.#free.shift();
    if (free !== undefined) {
      return free;
    }
    this.#next += 1;
    return this.#next - 1;
  }

  /** A transaction with this nonce is about to be sent. */
  sending(nonce: number, signed: Signed): void {
    this.#unsettled.set(nonce, signed);
  }

  /** The transaction is in a block. */
  settled(nonce: number): void {
    this.#unsettled.delete(nonce);
  }

  /** The transaction is surely with no node: the next one gets its nonce. */
  giveBack(nonce: number): void {
    this.#unsettled.delete(nonce);
    this.#free.push(nonce);
    this.#free.sort((a, b) => a - b);
  }

  /** What became of a transaction is not known, or nonces are not as they were counted. */
  doubt(): void {
    this.#doubtful = true;
  }

  /** Makes a doubtful account usable again, if it is; those who ask meanwhile wait for the same. */
  async ready(node: NodeRpc): Promise<void> {
    if (this.#doubtful) {
      this.#recovery ??= this.recover(node).finally(() => {
        this.#recovery = undefined;
      });
      await this.#recovery;
    }
  }

  /**
   * Asks a node for the account's next nonce, forgets what is settled below it, and sends again what is not.
   *
   * @throws RpcSilence or RpcRefusal when the node does not tell.
   */
  async recover(node: NodeRpc): Promise<void> {
    const count = async (block: string) =>
      Number(quantity.parse(await node.call("eth_getTransactionCount", [this.address, block], setUpLimitMs)));
    const [mined, pending] = await Promise.all([count("latest"), count("pending")]);
    for (const nonce of this.#unsettled.keys()) {
      if (nonce < mined) this.#unsettled.delete(nonce);
    }
    const usable = this.#free.filter((nonce) => nonce >= mined);
    this.#free.splice(0, this.#free.length, ...usable);
    const above = this.#unsettled.size + usable.length === 0 ? pending : Math.max(this.#next, pending);
    this.#next = Math.max(above, mined);
    this.#doubtful = false;
    const raws = [...this.#unsettled.values()].map(({ raw }) => raw);
    await Promise.allSettled(raws.map((raw) => node.call("eth_sendRawTransaction", [raw], rebroadcastLimitMs)));
  }
}
