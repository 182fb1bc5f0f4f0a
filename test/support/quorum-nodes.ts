import { request as httpsRequest, type RequestOptions } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";

/** A block as far as tests look at it. */
export interface Block {
  readonly number: number;
  readonly hash: string;
}

/** The nodes of a quorum network, asked through the API server. */
export class QuorumNodes {
  readonly #config: KubeConfig;
  readonly #namespace: string;
  readonly #podOf: (ordinal: number) => string;

  /** @param podOf Name of a node's pod; by default that of a set of all nodes. */
  constructor(config: KubeConfig, namespace: string, podOf = (ordinal: number): string => `quorum-${ordinal}`) {
    this.#config = config;
    this.#namespace = namespace;
    this.#podOf = podOf;
  }

  /** @throws Error when the node does not answer, or answers with an error. */
  async call(ordinal: number, method: string, ...params: readonly unknown[]): Promise<unknown> {
    const path = `/api/v1/namespaces/${this.#namespace}/pods/${this.#podOf(ordinal)}:8545/proxy/`;
    const text = await this.#post(path, JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
    const answer = JSON.parse(text) as { readonly result?: unknown; readonly error?: { readonly message: string } };
    if (answer.error !== undefined) throw new Error(`${method} at node ${ordinal}: ${answer.error.message}`);
    return answer.result;
  }

  async block(ordinal: number, which: number | "latest" = "latest"): Promise<Block> {
    const name = which === "latest" ? which : `0x${which.toString(16)}`;
    const block = await this.call(ordinal, "eth_getBlockByNumber", name, false);
    if (block === null) throw new Error(`node ${ordinal} has no block ${which} yet`);
    const { number, hash } = block as { readonly number: string; readonly hash: string };
    return { number: Number(number), hash };
  }

  async height(ordinal: number): Promise<number> {
    return (await this.block(ordinal)).number;
  }

  /** Address of the validator that proposed a node's latest block, in lower case; of qbft and ibft. */
  async author(ordinal: number): Promise<string> {
    const signers = (await this.call(ordinal, "istanbul_getSignersFromBlock", null)) as { readonly Author: string };
    return signers.Author.toLowerCase();
  }

  async peers(ordinal: number): Promise<number> {
    return Number(await this.call(ordinal, "net_peerCount"));
  }

  async #post(path: string, body: string): Promise<string> {
    const server = this.#config.getCurrentCluster()?.server.replace(/\/$/, "") ?? "";
    const options: RequestOptions = { method: "POST", headers: { "content-type": "application/json" } };
    await this.#config.applyToHTTPSOptions(options);
    return await new Promise((done, reject) => {
      const request = httpsRequest(new URL(server + path), { ...options, timeout: 30_000 }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode === 200) done(text);
          else reject(new Error(`${path}: ${response.statusCode} ${text}`));
        });
      });
      request.on("timeout", () => request.destroy(new Error(`${path}: no answer within 30 s`)));
      request.on("error", reject);
      request.end(body);
    });
  }
}

/**
 * Asks until the answer is the one that is waited for.
 *
 * @throws Error with the last answer when it has not come within five minutes
 */
export async function eventually<T>(what: string, ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  let last: unknown;
  for (const end = Date.now() + 300_000; Date.now() < end; await sleep(2_000)) {
    try {
      const value = await ask();
      if (holds(value)) return value;
      last = value;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(
    `${what}: not within five minutes; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
  );
}
