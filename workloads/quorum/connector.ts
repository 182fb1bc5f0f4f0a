import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { RunSpec } from "../../schema/run.ts";
import type { ConnectOptions, Connector, OperationContext, Outcome } from "../core/connector.ts";
import { hashText, seededRandom } from "../core/random.ts";
import { type Account, type Credentials, ownAccounts, readCredentials } from "./accounts.ts";
import { followFeed } from "./feed.ts";
import { Inclusions } from "./inclusions.ts";
import { PayloadRefusal, PrivateNode } from "./privacy.ts";
import { measureReference, type ReferencePlan } from "./reference.ts";
import { NodeRpc } from "./rpc.ts";
import { type Chain, codeOf, publicWay, Sender } from "./sender.ts";
import { decodeGet, deployCode, deployGas, encodeGet, encodePut, putGas } from "./storage-contract.ts";
import { fromHex } from "./transaction.ts";

export { roles } from "./roles.ts";

/** The load parameters of schema/systems/quorum.ts as the plan resolves them: sizes in bytes. */
const parametersSchema = z.object({
  keys: z.int().min(1).default(1_000),
  valueSize: z.int().min(1),
  reference: z.object({ transfers: z.int().min(1), pairs: z.int().min(1) }).optional(),
});

const setUpLimitMs = 30_000;
const readLimitMs = 5_000;
const receiptPauseMs = 100;
const transferGas = 21_000;
const quantity = z.string().transform(BigInt);

/** Connects one worker to a quorum network: accounts of its own, signing here, and one stream of blocks. */
export async function connect(spec: RunSpec, { worker, credentials: folder }: ConnectOptions): Promise<Connector> {
  const parameters = parametersSchema.parse(spec.parameters);
  const credentials = await readCredentials(folder);
  const nodes = spec.endpoints.map((endpoint) => new NodeRpc(endpoint));
  const firstNode = seededRandom(spec.seed, worker).below(nodes.length);
  const inclusions = new Inclusions(nodes, firstNode);
  const close = async (): Promise<void> => {
    await inclusions.close();
    await Promise.all(nodes.map((node) => node.close()));
  };
  try {
    const scene = await openScene({ spec, worker, nodes, inclusions, credentials, firstNode });
    const client = new QuorumClient(scene, parameters);
    await client.prepare(new Set(Object.keys(spec.operations)));
    return {
      operations: {
        transfer: (context) => client.transfer(context),
        contract_call: (context) => client.call(context),
        contract_read: (context) => client.read(context),
        private_transfer: (context) => client.privateCall(context),
        deploy: (context) => client.deploy(context),
      },
      requests: {
        transfer: { method: "POST", path: "/eth_sendRawTransaction" },
        contract_call: { method: "POST", path: "/eth_sendRawTransaction" },
        contract_read: { method: "POST", path: "/eth_call" },
        private_transfer: { method: "POST", path: "/eth_sendRawPrivateTransaction" },
        deploy: { method: "POST", path: "/eth_sendRawTransaction" },
      },
      readBack: (key) => client.readBack(key),
      observe: followFeed,
      ...referenceOf(scene, parameters.reference),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Opening {
  readonly spec: RunSpec;
  readonly worker: number;
  readonly nodes: readonly NodeRpc[];
  readonly inclusions: Inclusions;
  readonly credentials: Credentials;
  readonly firstNode: number;
}

interface Scene extends Opening {
  readonly chain: Chain;
  readonly accounts: readonly Account[];
  readonly sender: Sender;
}

/** Finds out what the chain asks of its users, and which accounts are this worker's. */
async function openScene(opening: Opening): Promise<Scene> {
  const { spec, worker, nodes, inclusions, credentials, firstNode } = opening;
  const node = nodes[firstNode];
  if (node === undefined) {
    throw new Error("the network has no members");
  }
  const ask = async (method: string) => quantity.parse(await node.call(method, [], setUpLimitMs));
  const chain = { id: Number(await ask("eth_chainId")), gasPrice: await ask("eth_gasPrice") };
  const accounts = await ownAccounts(credentials, node, { worker, workers: spec.workers });
  const sender = new Sender(chain, nodes, accounts, inclusions);
  return { ...opening, chain, accounts, sender };
}

/** One worker alone compares itself with a raw sender: two at a time would share the nodes. */
function referenceOf(scene: Scene, plan: ReferencePlan | undefined): Pick<Connector, "reference"> {
  const { chain, sender, accounts, nodes, firstNode, worker } = scene;
  const [account, node] = [accounts[0], nodes[firstNode]];
  return plan === undefined || worker !== 0 || account === undefined || node === undefined
    ? {}
    : { reference: (stop) => measureReference({ chain, sender, account, node }, plan, stop) };
}

/** A private contract that two nodes share. */
interface PrivatePair {
  readonly node: PrivateNode;
  readonly contract: Uint8Array;
}

const endsIn = (limitMs: number) => {
  const endMs = performance.now() + limitMs;
  return { remainingMs: () => endMs - performance.now() };
};

class QuorumClient {
  readonly #scene: Scene;
  readonly #keys: number;
  readonly #valueSize: number;
  readonly #padding: Buffer;
  /** The worker's own contract, so that no other writes to its keys. */
  #contract: string | undefined;
  readonly #pairs: PrivatePair[] = [];

  constructor(scene: Scene, { keys, valueSize }: z.output<typeof parametersSchema>) {
    this.#scene = scene;
    this.#keys = keys;
    this.#valueSize = valueSize;
    this.#padding = Buffer.from(`.${hashText(scene.spec.run).toString(36)}.`.padEnd(valueSize, "0123456789abcdef"));
  }

  /** Makes the contracts that the operations need. */
  async prepare(operations: ReadonlySet<string>): Promise<void> {
    if (operations.has("contract_call") || operations.has("contract_read")) {
      this.#contract = await this.#deployOwn();
    }
    if (operations.has("private_transfer")) {
      const { nodes } = this.#scene;
      const pairs = nodes.map(async (node, index) => {
        const partner = nodes[(index + 1) % nodes.length] ?? node;
        return await this.#openPair(await PrivateNode.open(node, partner.endpoint));
      });
      this.#pairs.push(...(await Promise.all(pairs)));
    }
  }

  /** One wei to an account that nobody has. */
  async transfer(context: OperationContext): Promise<Outcome> {
    const to = new Uint8Array(20);
    new DataView(to.buffer).setUint32(0, 1 + context.random.below(0xffff_fffe)); // the low ones are precompiled contracts
    const content = { to, value: 1n, data: new Uint8Array(), gas: transferGas };
    return await this.#scene.sender.send(content, publicWay(this.#scene.chain), context);
  }

  async call(context: OperationContext): Promise<Outcome> {
    const key = context.random.below(this.#keys);
    const value = this.#valueOf(context.sequence);
    const content = this.#putContent(fromHex(this.#assertContract()), key, value);
    const sent = await this.#scene.sender.send(content, publicWay(this.#scene.chain), context);
    return { ...sent, write: { key: String(key), value: value.toString(), lingering: false } };
  }

  async read(context: OperationContext): Promise<Outcome> {
    const node = this.#scene.sender.node(context.sequence);
    const { ordinal: endpoint } = node.endpoint;
    try {
      await this.#get(node, context.random.below(this.#keys), "latest", context.remainingMs());
      return { ok: true, endpoint, attempts: 1 };
    } catch (error) {
      this.#scene.sender.avoid(node);
      return { ok: false, code: codeOf(error), endpoint, attempts: 1 };
    }
  }

  async deploy(context: OperationContext): Promise<Outcome> {
    const content = { to: new Uint8Array(), value: 0n, data: deployCode, gas: deployGas };
    return await this.#scene.sender.send(content, publicWay(this.#scene.chain), context);
  }

  /** A value written to a contract that two nodes share and no other knows. */
  async privateCall(context: OperationContext): Promise<Outcome> {
    const pair = this.#pairs[context.sequence % this.#pairs.length];
    if (pair === undefined) {
      throw new Error("private_transfer is no operation of this run");
    }
    const { node } = pair.node;
    const key = context.random.below(this.#keys);
    const content = this.#putContent(pair.contract, key, this.#valueOf(context.sequence));
    try {
      const data = await pair.node.store(content.data, context.remainingMs());
      return await this.#scene.sender.send({ ...content, data }, pair.node.way(), context);
    } catch (error) {
      if (!(error instanceof PayloadRefusal)) throw error;
      return { ok: false, code: error.code, endpoint: node.endpoint.ordinal, attempts: 1 };
    }
  }

  /** The value in the state of the member that is furthest. */
  async readBack(key: string): Promise<string | null> {
    const { nodes } = this.#scene;
    const heights = await Promise.all(
      nodes.map(async (node) => {
        const height = node.call("eth_blockNumber", [], readLimitMs).then((answer) => quantity.parse(answer));
        return { node, height: await height.catch(() => -1n) };
      }),
    );
    const furthest = heights.reduce((best, candidate) => (candidate.height > best.height ? candidate : best));
    const value = await this.#get(furthest.node, Number(key), `0x${furthest.height.toString(16)}`, readLimitMs);
    return value === null ? null : Buffer.from(value).toString();
  }

  async #get(node: NodeRpc, key: number, block: string, limitMs: number): Promise<Uint8Array | null> {
    const call = { to: this.#assertContract(), data: encodeGet(BigInt(key)) };
    return decodeGet(z.string().parse(await node.call("eth_call", [call, block], limitMs)));
  }

  #assertContract(): string {
    if (this.#contract === undefined) {
      throw new Error("contract_call and contract_read are no operations of this run");
    }
    return this.#contract;
  }

  #putContent(to: Uint8Array, key: number, value: Uint8Array) {
    return { to, value: 0n, data: encodePut(BigInt(key), value), gas: putGas(value.length) };
  }

  /** Says which write it is of: worker and sequence, then as much of the run's hash as there is room for. */
  #valueOf(sequence: number): Buffer {
    const own = Buffer.from(`${this.#scene.worker.toString(36)}-${sequence.toString(36)}`);
    return Buffer.concat([own, this.#padding.subarray(0, Math.max(0, this.#valueSize - own.length))]);
  }

  async #deployOwn(): Promise<string> {
    const { sender, chain, nodes } = this.#scene;
    const content = { to: new Uint8Array(), value: 0n, data: deployCode, gas: deployGas };
    const sent = await sender.send(content, publicWay(chain), endsIn(setUpLimitMs));
    return await contractOf(sent, nodes, "the contract");
  }

  async #openPair(node: PrivateNode): Promise<PrivatePair> {
    const { pod } = node.node.endpoint;
    const data = await node.store(deployCode, setUpLimitMs);
    const content = { to: new Uint8Array(), value: 0n, data, gas: deployGas };
    const sent = await this.#scene.sender.send(content, node.way(), endsIn(setUpLimitMs));
    return { node, contract: fromHex(await contractOf(sent, this.#scene.nodes, `the private contract of ${pod}`)) };
  }
}

/**
 * Address of the contract that a transaction has made, from its receipt. The node asked may have the block a little later
 * than the one that told of it, and with clique lose it again for a while to a longer chain.
 */
async function contractOf(sent: Outcome, nodes: readonly NodeRpc[], what: string): Promise<string> {
  const node = nodes.find(({ endpoint }) => endpoint.ordinal === sent.endpoint);
  const { remainingMs } = endsIn(setUpLimitMs);
  while (sent.ok && remainingMs() > 0) {
    const receipt = await node?.call("eth_getTransactionReceipt", [sent.event], remainingMs());
    if (receipt !== null) return contractSchema.parse(receipt).contractAddress;
    await sleep(receiptPauseMs);
  }
  const why = sent.ok ? "its node has no receipt of it" : sent.code;
  throw new Error(`${what} could not be made within ${setUpLimitMs} ms: ${why}`);
}

const contractSchema = z.object({ contractAddress: z.string() });
