import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Mode } from "./api/common.ts";
import { type KeyPair, memberKeys, toBase64 } from "./keys.ts";
import { type Peer, readPeers } from "./peers.ts";

/** Where a server listens: a host and a port (0: any), or a unix socket. */
export type Address = { readonly host: string; readonly port: number } | { readonly socket: string };

const tcp = z
  .string()
  .regex(/^[^:/]+:\d{1,5}$/, "must be host:port")
  .transform((text) => {
    const [host = "", port] = text.split(":");
    return { host, port: Number(port) };
  });
const unix = z
  .string()
  .regex(/^unix:\/./, "must be unix:/path or host:port")
  .transform((text) => ({ socket: text.slice("unix:".length) }));

const environmentSchema = z
  .object({
    PTM_MODE: z.enum(["constellation", "tessera"]),
    PTM_POD_NAME: z.string().regex(/-\d+$/, "must end in the member's ordinal, e.g. node-0"),
    PTM_GROUP_KEY_FILE: z.string().default("/run/orrery/identity/group-key"),
    PTM_PEERS_FILE: z.string().default("/etc/orrery/peers.json"),
    PTM_DATA_DIR: z.string().default("/data"),
    PTM_NODE_ADDR: z.union([unix, tcp]),
    PTM_PEER_ADDR: tcp.default({ host: "0.0.0.0", port: 9000 }),
    PTM_CLIENT_ADDR: tcp.default({ host: "0.0.0.0", port: 9080 }),
    PTM_PUSH_LIMIT_MS: z.coerce.number().int().min(100).max(60_000).default(4_000),
  })
  .refine(({ PTM_MODE, PTM_NODE_ADDR }) => PTM_MODE === "tessera" || "socket" in PTM_NODE_ADDR, {
    path: ["PTM_NODE_ADDR"],
    message: "in constellation mode GoQuorum speaks over a unix socket only; give unix:/path",
  });

export interface Config {
  readonly mode: Mode;
  readonly ordinal: number;
  readonly keys: KeyPair;
  readonly peersFile: string;
  readonly peers: readonly Peer[];
  readonly dataDir: string;
  readonly node: Address;
  readonly peer: Address;
  readonly client: Address;
  readonly pushLimitMs: number;
}

/**
 * What this member is and where it listens, from its environment and two files.
 *
 * @throws Error saying what is wrong; nothing was changed.
 */
export async function readConfig(environment: NodeJS.ProcessEnv): Promise<Config> {
  const read = environmentSchema.parse(environment);
  const ordinal = Number(read.PTM_POD_NAME.split("-").at(-1));
  const groupKey = (await readFile(read.PTM_GROUP_KEY_FILE, "utf8")).trim();
  if (!/^[0-9a-f]{64}$/.test(groupKey)) {
    throw new Error(`${read.PTM_GROUP_KEY_FILE} must hold the group's key, 64 hex digits`);
  }
  const keys = memberKeys(groupKey, ordinal);
  const peers = await readPeers(read.PTM_PEERS_FILE);
  assertListed(peers, ordinal, keys, read.PTM_PEERS_FILE);
  return {
    mode: read.PTM_MODE,
    ordinal,
    keys,
    peersFile: read.PTM_PEERS_FILE,
    peers,
    dataDir: read.PTM_DATA_DIR,
    node: read.PTM_NODE_ADDR,
    peer: read.PTM_PEER_ADDR,
    client: read.PTM_CLIENT_ADDR,
    pushLimitMs: read.PTM_PUSH_LIMIT_MS,
  };
}

/** The others can only write to a key that is this member's. */
function assertListed(peers: readonly Peer[], ordinal: number, keys: KeyPair, file: string): void {
  const listed = peers.find((peer) => peer.ordinal === ordinal);
  const own = toBase64(keys.publicKey);
  if (listed?.publicKey !== own) {
    const found = listed === undefined ? "is not listed" : `is listed with the key ${listed.publicKey}`;
    throw new Error(`${file}: member ${ordinal} ${found}; its key, derived from the group's, is ${own}`);
  }
}
