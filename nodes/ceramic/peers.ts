import { readFile } from "node:fs/promises";

/** A peer of the network, as the peers file has it; Keramik's format with two more fields. */
export interface Peer {
  readonly peerId: string;
  readonly ipfsRpcAddr: string;
  readonly ceramicAddr: string;
  readonly p2pAddrs: readonly string[];
  /** Pod it runs in. */
  readonly pod: string;
  /** Public Ed25519 keys in hex: of the libp2p identity, and of the node's DID. */
  readonly ipfsKey: string;
  readonly didKey: string;
}

/**
 * Reads a peers file: `[{"ceramic": {...}}, ...]`.
 *
 * @throws Error naming the file when it is no such list
 */
export async function readPeers(path: string): Promise<Peer[]> {
  const list: unknown = JSON.parse(await readFile(path, "utf8"));
  if (!Array.isArray(list)) throw new Error(`${path} is no list of peers`);
  return list.flatMap((entry: { readonly ceramic?: Peer }) => (entry.ceramic === undefined ? [] : [entry.ceramic]));
}

/** A variable that has to be there. */
export function required(name: string, environment: NodeJS.ProcessEnv = process.env): string {
  const value = environment[name];
  if (value === undefined || value === "") throw new Error(`${name} is not set`);
  return value;
}
