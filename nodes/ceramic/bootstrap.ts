/**
 * Connects the peers of a network as the method says, once, and ends. Exit codes: 0 every peer is connected to another
 * one of the network, 4 some are not, 3 the environment cannot be used.
 *
 * `BOOTSTRAP_METHOD`, `BOOTSTRAP_N` and `BOOTSTRAP_SEED` say how, `BOOTSTRAP_PEERS_PATH` who.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Peer, readPeers, required } from "./peers.ts";
import { edges, type Method, methods } from "./topology.ts";

const answerLimitMs = 240_000;
const requestLimitMs = 30_000;

const log = (message: string, details: object = {}): void =>
  console.log(JSON.stringify({ at: new Date().toISOString(), message, ...details }));

async function main(): Promise<number> {
  const method = required("BOOTSTRAP_METHOD") as Method;
  const [n, seed] = [Number(required("BOOTSTRAP_N")), Number(process.env.BOOTSTRAP_SEED ?? "0")];
  if (!methods.includes(method) || !Number.isInteger(n) || n < 1 || !Number.isInteger(seed)) {
    log("BOOTSTRAP_METHOD, BOOTSTRAP_N or BOOTSTRAP_SEED cannot be used", { method, n, seed, methods });
    return 3;
  }
  const peers = await readPeers(required("BOOTSTRAP_PEERS_PATH"));
  const until = Date.now() + answerLimitMs;
  await Promise.all(peers.map((peer) => answering(peer, until)));
  for (const { from, to } of edges(method, n, peers.length, seed)) await connect(peers[from], peers[to], until);
  const isolated = await isolatedOf(peers);
  log("done", { peers: peers.length, method, n, isolated });
  return isolated.length === 0 || peers.length < 2 ? 0 : 4;
}

/** Waits until a peer's kubo answers with the identity that the list has. */
async function answering(peer: Peer, until: number): Promise<void> {
  for (;;) {
    const id = await rpc<{ readonly ID: string }>(peer, "id").catch((error: Error) => error);
    if (!(id instanceof Error)) {
      if (id.ID === peer.peerId) return;
      throw new Error(`${peer.pod} is ${id.ID}, not ${peer.peerId} as the list has it`);
    }
    if (Date.now() > until) throw new Error(`${peer.pod} does not answer: ${id.message}`);
    await sleep(500);
  }
}

/** A pair that cannot be connected is told of and not fatal: others may do. */
async function connect(from: Peer | undefined, to: Peer | undefined, until: number): Promise<void> {
  if (from === undefined || to === undefined) return;
  const query = to.p2pAddrs.map((address) => `arg=${encodeURIComponent(address)}`).join("&");
  for (let pauseMs = 500; ; pauseMs *= 2) {
    const answer = await rpc<{ readonly Strings: readonly string[] }>(from, `swarm/connect?${query}`).catch(
      (error: Error) => error,
    );
    const good = !(answer instanceof Error) && answer.Strings.every((line) => line.endsWith("success"));
    if (good) return log("connected", { from: from.pod, to: to.pod });
    if (Date.now() + pauseMs > until || pauseMs > 8_000) {
      const problem = answer instanceof Error ? answer.message : answer.Strings.join("; ");
      return log("not connected", { from: from.pod, to: to.pod, problem });
    }
    await sleep(pauseMs);
  }
}

/** Pods of the peers that have no connection to another one of the list. */
async function isolatedOf(peers: readonly Peer[]): Promise<string[]> {
  const ids = new Set(peers.map(({ peerId }) => peerId));
  const counts = await Promise.all(
    peers.map(async (peer) => {
      const { Peers } = await rpc<{ readonly Peers: readonly { readonly Peer: string }[] | null }>(peer, "swarm/peers");
      return {
        pod: peer.pod,
        connected: new Set((Peers ?? []).map(({ Peer: id }) => id).filter((id) => ids.has(id))).size,
      };
    }),
  );
  for (const { pod, connected } of counts) log("peer", { pod, connected });
  return counts.filter(({ connected }) => connected === 0).map(({ pod }) => pod);
}

/** Asks a peer's kubo; every call is a POST, and errors come as `{Message}`. */
async function rpc<T>(peer: Peer, call: string): Promise<T> {
  const answer = await fetch(`${peer.ipfsRpcAddr}/api/v0/${call}`, {
    method: "POST",
    signal: AbortSignal.timeout(requestLimitMs),
  });
  const body = (await answer.json()) as T & { readonly Message?: string };
  if (!answer.ok) throw new Error(body.Message ?? `status ${answer.status}`);
  return body;
}

try {
  process.exitCode = await main();
} catch (error) {
  log("the peers could not be connected", { error: error instanceof Error ? error.message : String(error) });
  process.exitCode = 4;
}
