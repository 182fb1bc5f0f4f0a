/**
 * Prepares a peer before its programs start, in an init container: puts the peer's own keys into the configurations of
 * js-ceramic and kubo, which are the same for the whole group. Nothing else knows the keys.
 *
 * `POD_NAME` and `CERAMIC_GROUP` say which peer it is. It reads `/etc/orrery/group/{daemon-config,kubo-config}.json`,
 * `/etc/orrery/peers/peers.json` and `/run/orrery/identity/group-key`; it writes `/config/daemon.config.json`,
 * `/config/kubo.json` and, once kubo has a repository, its configuration below `/data/ipfs`.
 */
import { access, readFile, rename, writeFile } from "node:fs/promises";
import { type KeyPair, libp2pPrivateKey, peerKey } from "./identity.ts";
import { type Peer, readPeers, required } from "./peers.ts";
import { edges, type Method } from "./topology.ts";

interface DaemonConfig {
  readonly node: Readonly<Record<string, unknown>>;
}

interface KuboConfig {
  readonly Identity?: unknown;
  readonly Peering?: unknown;
}

const root = process.env.CERAMIC_PREPARE_ROOT ?? ""; // tests have a folder of their own

async function main(): Promise<void> {
  const pod = required("POD_NAME");
  const group = required("CERAMIC_GROUP");
  const peers = await readPeers(`${root}/etc/orrery/peers/peers.json`);
  const index = peers.findIndex((peer) => peer.pod === pod);
  const self = peers[index];
  if (self === undefined) throw new Error(`${pod} is not in the list of peers`);
  const ordinal = Number(pod.slice(group.length + 1));
  const groupKey = (await readFile(`${root}/run/orrery/identity/group-key`, "utf8")).trim();
  const did = proven(peerKey(groupKey, group, ordinal, "did"), self.didKey, pod);
  const ipfs = proven(peerKey(groupKey, group, ordinal, "ipfs"), self.ipfsKey, pod);

  const daemon = await readJson<DaemonConfig>("daemon-config.json");
  const privateSeed = `inplace:ed25519#${did.seed.toString("hex")}`;
  await write("/config/daemon.config.json", { ...daemon, node: { ...daemon.node, "private-seed-url": privateSeed } });
  if (process.env.CERAMIC_IPFS_KIND === "go") await writeKubo(peers, index, self, ipfs);
}

async function writeKubo(peers: readonly Peer[], index: number, self: Peer, key: KeyPair): Promise<void> {
  const config = {
    ...(await readJson<KuboConfig>("kubo-config.json")),
    Identity: { PeerID: self.peerId, PrivKey: libp2pPrivateKey(key) },
    Peering: { Peers: peering(peers, index) },
  };
  await write("/config/kubo.json", config);
  const repository = `${root}/data/ipfs/config`;
  const exists = await access(repository).then(
    () => true,
    () => false,
  );
  if (exists) await write("/data/ipfs/config", config);
}

/** The peers that this one keeps connections to: kubo dials them again whenever one breaks. */
function peering(peers: readonly Peer[], index: number): unknown[] {
  return partners(peers, index).map((peer) => ({
    ID: peer.peerId,
    Addrs: peer.p2pAddrs.map((address) => address.replace(/\/p2p\/[^/]+$/, "")),
  }));
}

function partners(peers: readonly Peer[], index: number): Peer[] {
  const kept = required("CERAMIC_PEERING");
  if (kept === "none") return [];
  if (kept === "all") return peers.filter((_, other) => other !== index);
  const [n, seed] = [Number(required("BOOTSTRAP_N")), Number(required("BOOTSTRAP_SEED"))];
  return edges(required("BOOTSTRAP_METHOD") as Method, n, peers.length, seed)
    .filter(({ from }) => from === index)
    .flatMap(({ to }) => peers[to] ?? []);
}

/** The derived key, if it is the one the others know. */
function proven(key: KeyPair, publicKeyHex: string, pod: string): KeyPair {
  if (key.publicKey.toString("hex") === publicKeyHex) return key;
  throw new Error(`the group's key does not make the identity of ${pod} in the list of peers`);
}

async function readJson<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(`${root}/etc/orrery/group/${name}`, "utf8")) as T;
}

/** In one step: a crash leaves the old file or the new one. */
async function write(path: string, content: unknown): Promise<void> {
  const unfinished = `${root}${path}.new`;
  await writeFile(unfinished, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  await rename(unfinished, `${root}${path}`);
}

await main();
