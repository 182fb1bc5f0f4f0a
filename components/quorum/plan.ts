import { createHash } from "node:crypto";
import { type QuorumSection, validatorsOf } from "../../schema/systems/quorum.ts";
import { formatBytes } from "../../schema/units.ts";
import { memberPublicKey } from "../kubernetes/identity.ts";
import { genesisDocument } from "./genesis.ts";
import { identitiesOf, identityOf, keyGroups, type PublicIdentity } from "./keys.ts";

/** Headless Service of the nodes, and their StatefulSet where there is one: then node n is the pod `quorum-<n>`. */
const setName = "quorum";
/** Service of the bootnode, by the seed document's name. */
export const bootnodeService = "bootnode-service";
/** Service of all nodes together, likewise. */
export const nodeService = "node-service";
export const ports = {
  rpc: 8545,
  ws: 8546,
  p2p: 30303,
  raft: 50400,
  discovery: 30301,
  agent: 8080,
  metrics: 6060,
  /** Of private-transaction managers: among themselves, for clients, and for the node of the same pod. */
  ptmPeer: 9000,
  ptmClient: 9080,
  ptmNode: 9101,
} as const;

/** A resolved quorum network: plain data, the same for the same input, without any key. */
export interface QuorumPlan {
  readonly name: string;
  readonly client: QuorumSection["client"];
  readonly consensus: QuorumSection["consensus"];
  readonly chainId: number;
  readonly blockPeriodMs: number;
  readonly members: readonly QuorumMember[];
  /** Nodes that must stay for the chain to go on: of the validators a majority, or more than two thirds. */
  readonly quorum: number;
  readonly bootnode?: { readonly host: string; readonly port: number };
  /** Volume of each node, as a Kubernetes quantity. */
  readonly storage: string;
  /** Cores and bytes of each node. */
  readonly cpu: number;
  readonly memory: number;
}

export interface QuorumMember {
  readonly ordinal: number;
  /** StatefulSet it belongs to, and its pod of that. */
  readonly set: string;
  readonly pod: string;
  /** DNS name that follows the pod wherever it is started. */
  readonly host: string;
  readonly validator: boolean;
}

/** The keys of a network's groups, 32 bytes each in hex. */
export interface GroupKeys {
  readonly node: string;
  readonly bootnode: string;
  readonly account: string;
  readonly ptm: string;
  readonly racecourse: string;
}

/** Plans a quorum network in a namespace. */
export function planQuorum(network: QuorumSection, namespace: string): QuorumPlan {
  const validators = validatorsOf(network);
  return {
    name: setName,
    client: network.client,
    consensus: network.consensus,
    chainId: network.chainId,
    blockPeriodMs: network.blockPeriod,
    members: Array.from({ length: network.nodes }, (_, ordinal) => {
      const place = placeOf(network.layout, ordinal);
      const host = `${place.pod}.${setName}.${namespace}.svc.cluster.local`;
      return { ordinal, ...place, host, validator: ordinal < validators };
    }),
    quorum: quorumOf(network.consensus, validators),
    ...(network.bootnode
      ? { bootnode: { host: `${bootnodeService}.${namespace}.svc.cluster.local`, port: ports.discovery } }
      : {}),
    storage: formatBytes(network.storage),
    cpu: network.cpu,
    memory: network.memory,
  };
}

/** The seed document counts its sets from 1, ours count pods from 0. */
function placeOf(layout: QuorumSection["layout"], ordinal: number): Pick<QuorumMember, "set" | "pod"> {
  return layout === "one-set"
    ? { set: setName, pod: `${setName}-${ordinal}` }
    : { set: `node-set-${ordinal + 1}`, pod: `node-set-${ordinal + 1}-0` };
}

function quorumOf(consensus: QuorumSection["consensus"], validators: number): number {
  const byThirds = consensus === "qbft" || consensus === "ibft";
  return byThirds ? Math.ceil((2 * validators) / 3) : Math.floor(validators / 2) + 1;
}

/** The files all nodes read, with public keys and addresses only. */
export interface Documents {
  /** What stays as it was when the chain began: the first block, and how many nodes began it. */
  readonly genesis: string;
  readonly origin: string;
  /** Who belongs to the network now; nodes read it again when it changes. */
  readonly network: string;
  readonly identities: readonly PublicIdentity[];
  /** Who the private-transaction managers are, and the public key of each in base64; empty where there are none. */
  readonly managers: string;
  readonly managerKeys: readonly string[];
}

/** Derives what is public of a network from its keys. */
export function documentsOf(network: QuorumSection, plan: QuorumPlan, keys: GroupKeys): Documents {
  const identities = identitiesOf(keys.node, keyGroups.node, plan.members.length);
  const members = plan.members.map((member) => ({ ...member, ...identity(identities, member.ordinal) }));
  const accounts = [
    ...identitiesOf(keys.account, keyGroups.account, network.accounts),
    ...identitiesOf(keys.racecourse, keyGroups.racecourse, racecourseAccounts(network)),
  ].map(({ address }) => address);
  const validators = members.filter(({ validator }) => validator).map(({ address }) => address);
  const document = {
    client: plan.client,
    consensus: plan.consensus,
    chainId: plan.chainId,
    blockPeriodMs: plan.blockPeriodMs,
    members: members.map(({ pod: _pod, set: _set, ...member }) => member),
    ...(plan.bootnode === undefined
      ? {}
      : {
          bootnode: { ...plan.bootnode, publicKey: identityOf(keys.bootnode, keyGroups.bootnode, 0).publicKey },
        }),
    ports: { p2p: ports.p2p, raft: ports.raft, rpc: ports.rpc, ws: ports.ws, metrics: ports.metrics },
  };
  return {
    genesis: genesisDocument({ network, validators, accounts }),
    origin: `${JSON.stringify({ members: members.length })}\n`,
    network: `${JSON.stringify(document, null, 2)}\n`,
    identities,
    ...managersOf(network, plan, keys),
  };
}

/** The web app's accounts: one deploys, the others play. Where gas costs something they need a balance. */
const racecourseAccounts = ({ racecourse }: QuorumSection): number =>
  racecourse === undefined ? 0 : racecourse.players + 1;

/** Where other managers reach that of a node. */
export const managerUrl = ({ host }: QuorumMember): string => `http://${host}:${ports.ptmPeer}`;

function managersOf(network: QuorumSection, plan: QuorumPlan, keys: GroupKeys) {
  const members = network.privacy === "none" ? [] : plan.members;
  const peers = members.map((member) => ({
    ordinal: member.ordinal,
    url: managerUrl(member),
    publicKey: memberPublicKey(keys.ptm, keyGroups.ptm, member.ordinal),
  }));
  return {
    managers: `${JSON.stringify({ peers }, null, 2)}\n`,
    managerKeys: peers.map(({ publicKey }) => Buffer.from(publicKey, "hex").toString("base64")),
  };
}

function identity(identities: readonly PublicIdentity[], ordinal: number): PublicIdentity {
  const found = identities[ordinal];
  if (found === undefined) throw new RangeError(`there is no key number ${ordinal} among ${identities.length}`);
  return found;
}

/**
 * What makes a chain another chain, as a short hash: all of the first block but its validators, of whom later ones are
 * voted in.
 */
export function chainOf({ consensus, chainId, blockPeriod, gasLimit, allocations, accounts }: QuorumSection): string {
  const text = JSON.stringify([consensus, chainId, blockPeriod, gasLimit, allocations, accounts]);
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

/** URL under which other nodes know a member (EIP-778's predecessor: public key, host and ports). */
export function enodeOf(plan: QuorumPlan, member: QuorumMember, { publicKey }: PublicIdentity): string {
  const raft = plan.consensus === "raft" ? `&raftport=${ports.raft}` : "";
  return `enode://${publicKey}@${member.host}:${ports.p2p}?discport=${plan.consensus === "raft" ? 0 : ports.p2p}${raft}`;
}
