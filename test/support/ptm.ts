import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { memberPublicKey } from "../../components/kubernetes/identity.ts";
import type { Mode } from "../../nodes/ptm/api/common.ts";
import { freePorts } from "./ports.ts";

export const groupKey = "07".repeat(32);
const program = resolve("nodes/ptm/main.ts");

/** Public key of a member in base64, as transactions name it. */
export const keyOf = (ordinal: number): string =>
  Buffer.from(memberPublicKey(groupKey, "ptm", ordinal), "hex").toString("base64");

/** Some private-transaction managers as processes on loopback, each with a folder that outlives it. */
export class PtmNetwork {
  readonly folder: string;
  readonly mode: Mode;
  readonly peerPorts: readonly number[];
  readonly members: PtmProcess[] = [];

  private constructor(folder: string, mode: Mode, peerPorts: readonly number[]) {
    this.folder = folder;
    this.mode = mode;
    this.peerPorts = peerPorts;
  }

  /** @param start Whether the members are started. */
  static async create(count: number, mode: Mode, start = true): Promise<PtmNetwork> {
    const folder = await mkdtemp(join(tmpdir(), "orrery-ptm-"));
    const network = new PtmNetwork(folder, mode, await freePorts(count));
    await writeFile(join(folder, "group-key"), `${groupKey}\n`);
    await network.writePeers(count);
    for (let ordinal = 0; ordinal < count; ordinal += 1) {
      network.members.push(new PtmProcess(network, ordinal));
    }
    if (start) {
      await Promise.all(network.members.map((member) => member.start()));
    }
    return network;
  }

  async writePeers(count: number): Promise<void> {
    const peers = this.peerPorts.slice(0, count).map((port, ordinal) => ({
      ordinal,
      url: `http://127.0.0.1:${port}`,
      publicKey: memberPublicKey(groupKey, "ptm", ordinal),
    }));
    await writeFile(join(this.folder, "peers.json"), JSON.stringify({ peers }));
  }

  member(ordinal: number): PtmProcess {
    const member = this.members[ordinal];
    if (member === undefined) throw new Error(`no member ${ordinal}`);
    return member;
  }

  async destroy(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end("SIGKILL")));
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** One manager; it can be ended and started again. */
export class PtmProcess {
  readonly #network: PtmNetwork;
  readonly #ordinal: number;
  #process: ChildProcess | undefined;
  /** Everything it logged, over all its lives. */
  log = "";
  nodeUrl = "";
  clientUrl = "";

  constructor(network: PtmNetwork, ordinal: number) {
    this.#network = network;
    this.#ordinal = ordinal;
  }

  get dataDir(): string {
    return join(this.#network.folder, `data-${this.#ordinal}`);
  }

  get socket(): string {
    return join(this.#network.folder, `tm-${this.#ordinal}.ipc`);
  }

  get environment(): NodeJS.ProcessEnv {
    const { folder, mode, peerPorts } = this.#network;
    return {
      ...process.env,
      PTM_MODE: mode,
      PTM_POD_NAME: `node-${this.#ordinal}`,
      PTM_GROUP_KEY_FILE: join(folder, "group-key"),
      PTM_PEERS_FILE: join(folder, "peers.json"),
      PTM_DATA_DIR: this.dataDir,
      PTM_NODE_ADDR: mode === "tessera" ? "127.0.0.1:0" : `unix:${this.socket}`,
      PTM_PEER_ADDR: `127.0.0.1:${peerPorts[this.#ordinal]}`,
      PTM_CLIENT_ADDR: "127.0.0.1:0",
    };
  }

  /** Started means that it serves. */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    await mkdir(this.dataDir, { recursive: true });
    const child = spawn(process.execPath, [program], {
      env: { ...this.environment, ...environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#process = child;
    await new Promise<void>((started, failed) => {
      child.once("exit", (code, signal) => failed(new Error(`it ended with ${code ?? signal}: ${this.log}`)));
      child.once("error", failed);
      createInterface({ input: child.stderr }).on("line", (line) => {
        this.log += `${line}\n`;
        const { node, client } = parsed(line);
        if (node !== undefined && client !== undefined) {
          this.nodeUrl = node;
          this.clientUrl = client;
          started();
        }
      });
    });
  }

  /** Ends it and returns its exit code, or the signal that ended it. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number | string | null> {
    const child = this.#process;
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
    }
    return child.exitCode ?? child.signalCode;
  }
}

function parsed(line: string): { node?: string; client?: string } {
  try {
    return JSON.parse(line) as { node?: string; client?: string };
  } catch {
    return {};
  }
}
