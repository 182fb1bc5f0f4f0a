import { z } from "zod";
import { messageOf } from "./log.ts";
import { hexBytes, JsonRpc, NodeAway, quantity, RpcError } from "./rpc.ts";

/** What a node says of itself. */
export interface NodeStatus {
  readonly name: string;
  readonly up: boolean;
  /** Why it is not up. */
  readonly problem?: string;
  readonly client?: string;
  readonly height?: number;
  readonly peers?: number;
  /** `validator`, `observer`, or what the consensus calls it; absent where the node does not tell. */
  readonly role?: string;
  readonly consensus?: string;
}

/** Blocks between two questions for what rarely changes. */
const rarely = 10;

/** One node and the last that was heard of it. */
export class WatchedNode {
  readonly rpc: JsonRpc;
  status: NodeStatus;
  #looks = 0;
  #asking: Promise<void> | undefined;

  constructor(url: string) {
    this.rpc = new JsonRpc(url);
    const name = nameOf(url);
    this.status = { name, up: false, problem: "not asked yet" };
  }

  /** Asks the node, unless an answer is awaited already; never throws, a node that is away is a status. */
  async look(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const { name } = this.status;
    try {
      const height = await this.rpc.call("eth_blockNumber", [], quantity);
      const peers = await optional(this.rpc.call("net_peerCount", [], quantity));
      const steady = this.status.up && this.#looks % rarely !== 0 ? this.status : await this.#identity();
      this.#looks += 1;
      const { client, role, consensus } = steady;
      this.status = { name, up: true, height, ...defined({ client, peers, role, consensus }) };
    } catch (error) {
      this.status = { name, up: false, problem: messageOf(error) };
    }
  }

  async #identity(): Promise<Pick<NodeStatus, "client" | "role" | "consensus">> {
    const client = await optional(this.rpc.call("web3_clientVersion", [], z.string()));
    return defined({ client, ...(await roleOf(this.rpc)) });
  }
}

/** The node that knows most, among those that are up. */
export function highest(nodes: readonly WatchedNode[]): WatchedNode | undefined {
  return nodes
    .filter(({ status }) => status.up)
    .reduce<WatchedNode | undefined>(
      (best, node) => ((node.status.height ?? 0) > (best?.status.height ?? -1) ? node : best),
      undefined,
    );
}

const addresses = z.array(hexBytes);

/** Which consensus a node takes part in and as what, by the API its consensus engine offers. */
async function roleOf(rpc: JsonRpc): Promise<Pick<NodeStatus, "role" | "consensus">> {
  const modules = (await optional(rpc.call("rpc_modules", [], z.record(z.string(), z.string())))) ?? {};
  if ("raft" in modules) {
    const role = await optional(rpc.call("raft_role", [], z.string()));
    if (role !== undefined && role !== "") return { consensus: "raft", role };
  }
  if ("istanbul" in modules) {
    const own = await optional(rpc.call("istanbul_nodeAddress", [], hexBytes));
    const validators = await optional(rpc.call("istanbul_getValidators", ["latest"], addresses));
    if (own !== undefined && validators !== undefined) return { consensus: "istanbul", role: among(own, validators) };
  }
  if ("clique" in modules) {
    const own = await optional(rpc.call("eth_coinbase", [], hexBytes));
    const signers = await optional(rpc.call("clique_getSigners", ["latest"], addresses));
    if (signers !== undefined)
      return { consensus: "clique", role: own === undefined ? "observer" : among(own, signers) };
  }
  return {};
}

const among = (own: string, members: readonly string[]): string =>
  members.some((member) => member.toLowerCase() === own.toLowerCase()) ? "validator" : "observer";

/** Undefined where a node has no such method or tells it to nobody; other failures go on. */
async function optional<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof NodeAway || !(error instanceof RpcError || error instanceof z.ZodError)) throw error;
    return undefined;
  }
}

/** First label of the host and, outside a cluster, where all have the same host, the port. */
function nameOf(url: string): string {
  const { hostname, port } = new URL(url);
  return /^[\d.]+$/.test(hostname) || hostname === "localhost"
    ? `${hostname}:${port}`
    : (hostname.split(".")[0] ?? url);
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Without the fields that are undefined. */
function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
