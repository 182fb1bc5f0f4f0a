import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

/** A chain of one process with a real EVM, without consensus and peers. */
export interface Chain {
  /** JSON-RPC over HTTP on the loopback interface. */
  readonly url: string;
  /** Any method, its errors thrown. */
  call(method: string, ...params: readonly unknown[]): Promise<unknown>;
  stop(): Promise<void>;
}

export interface ChainOptions {
  /** A free one when absent. */
  readonly port?: number;
}

/** Starts a chain that makes a block for every transaction, with the EVM and the gas price GoQuorum has. */
export async function startChain({ port = 0 }: ChainOptions = {}): Promise<Chain> {
  const system = process.arch === "arm64" ? "linux-arm64" : "linux-amd64";
  const program = createRequire(import.meta.url).resolve(`@foundry-rs/anvil-${system}/bin/anvil`);
  const args = ["--port", `${port}`, "--hardfork", "berlin", "--gas-price", "0", "--chain-id", "1337"];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const url = `http://${await addressOf(child)}`;
  return {
    url,
    async call(method, ...params) {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
      const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
      const { result, error } = (await response.json()) as { result?: unknown; error?: { message: string } };
      if (error !== undefined) throw new Error(`${method}: ${error.message}`);
      return result;
    },
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function addressOf(child: ChildProcess): Promise<string> {
  const { stdout } = child;
  if (stdout === null) throw new Error("the chain has no output");
  for await (const line of createInterface({ input: stdout })) {
    const address = /^Listening on (\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    stdout.resume(); // what it says of every block is not read
    return address;
  }
  throw new Error("the chain ended before it listened");
}
