import { createHash } from "node:crypto";
import { type CeramicSection, ceramicGroups } from "../../schema/systems/ceramic.ts";
import { type PeerIdentity, peerIdentity } from "./identity.ts";
import { ceramicEnvironment, daemonConfig, kuboConfig, ports } from "./settings.ts";

type NamedGroup = ReturnType<typeof ceramicGroups>[number];

/** A resolved Ceramic network: plain data, the same for the same input. */
export interface CeramicPlan {
  readonly groups: readonly GroupPlan[];
  /** Peers of all groups in order; their places in it are the network's ordinals. */
  readonly peers: readonly PeerPlan[];
  readonly bootstrap: BootstrapPlan | undefined;
}

/** Peers that are alike: one StatefulSet, its headless Service, its ConfigMap and its Secret. */
export interface GroupPlan {
  /** Of the StatefulSet and the Service; member n is the pod `<name>-<n>`. */
  readonly name: string;
  readonly replicas: number;
  readonly group: NamedGroup;
  readonly environment: Readonly<Record<string, string>>;
  /** Where js-ceramic keeps its index; of a database the password is put in by the pod. */
  readonly index: string;
  /** kubo's configuration but for the peer's own part; undefined with ceramic-one. */
  readonly kuboConfig: unknown;
}

export interface PeerPlan {
  readonly group: string;
  /** In its group. */
  readonly member: number;
  /** In the network. */
  readonly ordinal: number;
  readonly pod: string;
  /** DNS name that follows the pod wherever it is started. */
  readonly host: string;
  readonly ipfsKind: "go" | "rust";
}

export interface BootstrapPlan {
  /** Of the Job: another one for other peers or another method. */
  readonly name: string;
  readonly method: "ring" | "random" | "sentinel";
  readonly n: number;
  readonly seed: number;
}

/** Plans a Ceramic network in a namespace; `seed` is the experiment's. */
export function planCeramic(network: CeramicSection, seed: number, namespace: string): CeramicPlan {
  const named = ceramicGroups(network);
  const groups = named.map((group) => planGroup(network, group));
  const peers = groups
    .flatMap(({ name, replicas, group }) =>
      Array.from({ length: replicas }, (_, member) => ({
        group: name,
        member,
        pod: `${name}-${member}`,
        host: `${name}-${member}.${name}.${namespace}.svc.cluster.local`,
        ipfsKind: group.ipfs.kind,
      })),
    )
    .map((peer, ordinal) => ({ ...peer, ordinal }));
  return { groups, peers, bootstrap: planBootstrap(network, seed, peers) };
}

function planGroup(network: CeramicSection, group: NamedGroup): GroupPlan {
  const environment = ceramicEnvironment(network, group);
  return {
    name: group.name,
    replicas: group.replicas,
    group,
    environment,
    index:
      group.index === "postgres"
        ? `postgres://ceramic@127.0.0.1:${ports.postgres}/ceramic`
        : `sqlite://${environment.CERAMIC_SQLITE_PATH}`,
    kuboConfig: group.ipfs.kind === "go" ? kuboConfig(network, group) : undefined,
  };
}

function planBootstrap(network: CeramicSection, seed: number, peers: readonly PeerPlan[]): BootstrapPlan | undefined {
  const { enabled, method, n } = network.bootstrap;
  const kubos = peers.filter(({ ipfsKind }) => ipfsKind === "go");
  if (!enabled || kubos.length < 2) return undefined; // ceramic-one finds its peers by itself
  const hash = createHash("sha256").update(JSON.stringify([method, n, seed, kubos.map(({ pod }) => pod)]));
  return { name: `bootstrap-${hash.digest("hex").slice(0, 8)}`, method, n, seed };
}

/** js-ceramic's configuration of a group but for each peer's own key. */
export const groupDaemonConfig = ({ environment, index }: GroupPlan, adminDid: string): unknown =>
  daemonConfig(environment, adminDid, index);

/** A peer with its public identity. */
export interface KnownPeer extends PeerPlan, PeerIdentity {}

/** Adds the identities that the groups' keys make. */
export function knownPeers(plan: CeramicPlan, groupKeys: Readonly<Record<string, string>>): KnownPeer[] {
  return plan.peers.map((peer) => ({ ...peer, ...peerIdentity(groupKeys[peer.group] ?? "", peer.group, peer.member) }));
}

/** The peers file, in Keramik's format with a few more fields: who the peers are and where they answer. */
export function peersDocument(peers: readonly KnownPeer[]): string {
  const entries = peers.map(({ host, pod, peerId, did, ipfsKey, didKey }) => ({
    ceramic: {
      peerId,
      ipfsRpcAddr: `http://${host}:${ports.rpc}`,
      ceramicAddr: `http://${host}:${ports.api}`,
      flightAddr: `http://${host}:${ports.flight}`,
      p2pAddrs: [`/dns4/${host}/tcp/${ports.swarm}/p2p/${peerId}`],
      pod,
      did,
      ipfsKey,
      didKey,
    },
  }));
  return `${JSON.stringify(entries, null, 2)}\n`;
}
