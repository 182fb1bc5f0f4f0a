import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { memberKey } from "../../components/kubernetes/identity.ts";
import { type GenesisArgs, genesisDocument } from "../../components/quorum/genesis.ts";
import { identitiesOf, keyGroups, purposeOf } from "../../components/quorum/keys.ts";
import type { Mode } from "../../nodes/ptm/api/common.ts";
import type { Endpoint } from "../../schema/run.ts";
import { execute } from "./cli.ts";
import { freePorts } from "./ports.ts";
import { keyOf, PtmNetwork } from "./ptm.ts";

const nodeKey = "11".repeat(32);
export const accountsKeyHex = "22".repeat(32);
export const chainId = 1337;

export interface ChainOptions {
  /** The program. */
  readonly geth: string;
  readonly nodes: number;
  readonly accounts?: number;
  readonly privacy?: Mode;
}

/** GoQuorum nodes as processes on loopback, QBFT with a block every second, beside private-transaction managers. */
export class QuorumChain {
  readonly folder: string;
  readonly endpoints: readonly Endpoint[];
  readonly ptm: PtmNetwork | undefined;
  readonly #metricsPorts: readonly number[];
  readonly #processes: ChildProcess[] = [];
  #log = "";

  private constructor(
    folder: string,
    endpoints: readonly Endpoint[],
    ptm: PtmNetwork | undefined,
    metricsPorts: readonly number[],
  ) {
    this.folder = folder;
    this.endpoints = endpoints;
    this.ptm = ptm;
    this.#metricsPorts = metricsPorts;
  }

  /** Folder with the drivers' credentials. */
  get credentials(): string {
    return join(this.folder, "credentials");
  }

  /** Everything the nodes logged. */
  get log(): string {
    return this.#log;
  }

  /** Started means that every node answers and has seen a block. */
  static async start(options: ChainOptions): Promise<QuorumChain> {
    const folder = await mkdtemp(join(tmpdir(), "orrery-chain-"));
    const ports = await freePorts(4 * options.nodes);
    const ptm = options.privacy === undefined ? undefined : await PtmNetwork.create(options.nodes, options.privacy);
    const identities = identitiesOf(nodeKey, keyGroups.node, options.nodes);
    const endpoints = identities.map(({ publicKey, address }, ordinal) => {
      const [p2p, http, ws] = ports.slice(3 * ordinal);
      const attributes = {
        address,
        enode: `enode://${publicKey}@127.0.0.1:${p2p}?discport=0`,
        ws: `ws://127.0.0.1:${ws}`,
        ...(ptm === undefined ? {} : { ptm: keyOf(ordinal), ptmUrl: ptm.member(ordinal).clientUrl }),
      };
      return { group: "node", ordinal, pod: `quorum-${ordinal}`, url: `http://127.0.0.1:${http}`, attributes };
    });
    const chain = new QuorumChain(folder, endpoints, ptm, ports.slice(3 * options.nodes));
    try {
      await chain.#prepare(options);
      await Promise.all(endpoints.map(async (endpoint) => await chain.#startNode(options.geth, endpoint)));
      await Promise.all(endpoints.map(async (endpoint) => await chain.#serves(endpoint)));
    } catch (error) {
      await chain.destroy();
      throw new Error(`the chain did not start: ${chain.#log.slice(-4_000)}`, { cause: error });
    }
    return chain;
  }

  /** One JSON-RPC call of a node. */
  async call<T>(ordinal: number, method: string, ...params: unknown[]): Promise<T> {
    const answer = await fetch(this.endpoints[ordinal]?.url ?? "", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    const { result, error } = (await answer.json()) as { result: T; error?: { message: string } };
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  /** Where Prometheus would read the metrics of a node. */
  metricsUrl(ordinal: number): string {
    return `http://127.0.0.1:${this.#metricsPorts[ordinal]}/debug/metrics/prometheus`;
  }

  /** Ends a node as a crash would. */
  async kill(ordinal: number): Promise<void> {
    const child = this.#processes[ordinal];
    if (child?.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#processes.map(async (_, ordinal) => await this.kill(ordinal)));
    await this.ptm?.destroy();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #prepare({ accounts = 16 }: ChainOptions): Promise<void> {
    const network: GenesisArgs["network"] = {
      client: "goquorum",
      consensus: "qbft",
      chainId,
      blockPeriod: 1_000,
      gasLimit: 480_000_000,
      allocations: [],
    };
    const genesis = genesisDocument({
      network,
      validators: this.endpoints.map(({ attributes }) => attributes?.address ?? ""),
      accounts: identitiesOf(accountsKeyHex, keyGroups.account, accounts).map(({ address }) => address),
    });
    await writeFile(join(this.folder, "genesis.json"), genesis);
    await mkdir(this.credentials);
    await writeFile(join(this.credentials, "accounts-key"), `${accountsKeyHex}\n`);
    await writeFile(join(this.credentials, "accounts"), String(accounts));
    const peers = JSON.stringify(this.endpoints.map(({ attributes }) => attributes?.enode));
    for (const { ordinal } of this.endpoints) {
      const data = join(this.folder, `node-${ordinal}`);
      await mkdir(join(data, "geth"), { recursive: true });
      await writeFile(join(data, "static-nodes.json"), peers);
      await writeFile(
        join(data, "geth", "nodekey"),
        memberKey(nodeKey, keyGroups.node, ordinal, purposeOf(nodeKey, keyGroups.node, ordinal)),
      );
    }
  }

  async #startNode(geth: string, { ordinal, url, attributes }: Endpoint): Promise<void> {
    const data = join(this.folder, `node-${ordinal}`);
    const init = await execute(geth, ["--datadir", data, "init", join(this.folder, "genesis.json")]);
    if (init.code !== 0) throw new Error(init.stderr);
    const apis = "admin,eth,net,web3,txpool,istanbul";
    const p2p = new URL((attributes?.enode ?? "").replace("enode:", "http:")).port;
    const args = [
      ...["--datadir", data, "--networkid", String(chainId), "--nodiscover", "--port", p2p, "--nat", "none"],
      ...["--syncmode", "full", "--mine", "--miner.threads", "1", "--cache", "64", "--netrestrict", "127.0.0.0/8"],
      ...["--http", "--http.addr", "127.0.0.1", "--http.port", new URL(url).port, "--http.api", apis, "--graphql"],
      ...["--ws", "--ws.addr", "127.0.0.1", "--ws.port", new URL(attributes?.ws ?? "").port, "--ws.api", apis],
      ...["--txpool.accountslots", "1024", "--txpool.globalslots", "32768"], // as components/quorum has it
      ...["--miner.recommit", "24h"],
      ...["--txpool.accountqueue", "1024", "--txpool.globalqueue", "32768"],
      ...["--ws.origins", "*", "--ipcdisable", "--verbosity", "3"],
      ...["--metrics", "--metrics.addr", "127.0.0.1", "--metrics.port", String(this.#metricsPorts[ordinal])],
      ...this.#ptmArguments(ordinal),
    ];
    const child = spawn(geth, args, { stdio: ["ignore", "ignore", "pipe"], env: { HOME: this.folder } });
    child.stderr.on("data", (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
    this.#processes[ordinal] = child;
  }

  #ptmArguments(ordinal: number): string[] {
    if (this.ptm === undefined) return [];
    const { nodeUrl } = this.ptm.member(ordinal);
    return nodeUrl.startsWith("unix:") ? ["--ptm.socket", nodeUrl.slice("unix:".length)] : ["--ptm.url", nodeUrl];
  }

  async #serves({ ordinal }: Endpoint): Promise<void> {
    const endMs = Date.now() + 120_000;
    for (;;) {
      const height = await this.call<string>(ordinal, "eth_blockNumber").catch(() => "0x0");
      if (Number(height) > 0) return;
      if (Date.now() > endMs) throw new Error(`node ${ordinal} has seen no block`);
      await sleep(250);
    }
  }
}
