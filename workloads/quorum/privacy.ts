import { request } from "undici";
import type { Endpoint } from "../../schema/run.ts";
import type { NodeRpc } from "./rpc.ts";
import type { Way } from "./sender.ts";
import { signPrivateTransaction } from "./transaction.ts";

/** A private-transaction manager did not take a payload. */
export class PayloadRefusal extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** How a payload gets to its parties, when the transaction is signed by the driver. */
type Interface = "tessera" | "constellation";

/**
 * The private-transaction manager of one node, by the client interface of nodes/ptm. With Tessera's, the payload is left
 * there and the node has it given to the parties; with Constellation's it is given to them at once.
 */
export class PrivateNode {
  readonly node: NodeRpc;
  readonly #url: string;
  readonly #party: string;
  readonly #interface: Interface;

  private constructor(node: NodeRpc, url: string, party: string, spoken: Interface) {
    this.node = node;
    this.#url = url;
    this.#party = party;
    this.#interface = spoken;
  }

  /**
   * @param partner Whom this node shares its private transactions with.
   * @throws Error when the network has no private-transaction managers, or this one does not answer.
   */
  static async open(node: NodeRpc, partner: Endpoint): Promise<PrivateNode> {
    const url = node.endpoint.attributes?.ptmUrl;
    const party = partner.attributes?.ptm;
    if (url === undefined || party === undefined) {
      throw new Error(
        `${node.endpoint.pod} and ${partner.pod} have no private-transaction managers that drivers can reach; give the network privacy: tessera`,
      );
    }
    const version = await request(new URL("/version", url), { signal: AbortSignal.timeout(setUpLimitMs) });
    await version.body.dump();
    return new PrivateNode(node, url, party, version.statusCode === 200 ? "tessera" : "constellation");
  }

  /**
   * Leaves a payload with the manager.
   *
   * @returns What stands for it on the chain, 64 bytes.
   * @throws PayloadRefusal when the manager did not take it in time.
   */
  async store(payload: Uint8Array, limitMs: number): Promise<Uint8Array> {
    const [path, headers, body] =
      this.#interface === "tessera"
        ? (["/storeraw", { "content-type": "application/json" }, storeBody(payload)] as const)
        : (["/sendraw", { "c11n-to": this.#party }, Buffer.from(payload)] as const);
    let status: number;
    let text: string;
    try {
      const signal = AbortSignal.timeout(Math.max(1, Math.ceil(limitMs)));
      const answer = await request(new URL(path, this.#url), { method: "POST", headers, body, signal });
      [status, text] = [answer.statusCode, await answer.body.text()];
    } catch (error) {
      const timedOut = error instanceof Error && error.name === "TimeoutError";
      throw new PayloadRefusal(timedOut ? "timeout" : "ptm_unreachable", "the manager did not answer", {
        cause: error,
      });
    }
    if (status !== 200) {
      throw new PayloadRefusal(`ptm_${status}`, text);
    }
    const hash = this.#interface === "tessera" ? (JSON.parse(text) as { key: string }).key : text;
    return new Uint8Array(Buffer.from(hash, "base64"));
  }

  /** The way of a transaction whose data is what {@link store} returned. */
  way(): Way {
    const sign: Way["sign"] = (transaction, account) => signPrivateTransaction(transaction, account.key);
    return this.#interface === "tessera"
      ? {
          sign,
          method: "eth_sendRawPrivateTransaction",
          parameters: ({ raw }) => [raw, { privateFor: [this.#party] }],
          node: this.node,
        }
      : { sign, method: "eth_sendRawTransaction", parameters: ({ raw }) => [raw], node: this.node };
  }
}

const setUpLimitMs = 5_000;
const storeBody = (payload: Uint8Array): string => JSON.stringify({ payload: Buffer.from(payload).toString("base64") });
