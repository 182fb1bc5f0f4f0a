import type { Experiment } from "../../schema/experiment.ts";
import { formatBytes } from "../../schema/units.ts";
import { memberPublicKey } from "../kubernetes/identity.ts";

type KvSection = Extract<Experiment["network"], { system: "kv" }>;

/** Name of the role group, of its StatefulSet, its Service and the DNS names of its members. */
export const groupName = "replica";
const serviceName = "kv";
export const httpPort = 8080;
export const peerPort = 7000;

/** A resolved kv network: plain data, the same for the same input. */
export interface KvPlan {
  /** StatefulSet and headless Service; member n is the pod `<name>-<n>`. */
  readonly name: string;
  readonly replicas: number;
  /** Members that must stay for the group to make progress: a majority. */
  readonly quorum: number;
  /** Volume of each member, as a Kubernetes quantity. */
  readonly storage: string;
  /** Cores and bytes of each member. */
  readonly cpu: number;
  readonly memory: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly members: readonly KvMember[];
}

export interface KvMember {
  readonly ordinal: number;
  readonly pod: string;
  /** DNS name that follows the pod wherever it is started. */
  readonly host: string;
}

/** Plans a kv network in a namespace. */
export function planKv(network: KvSection, namespace: string): KvPlan {
  const members = Array.from({ length: network.replicas }, (_, ordinal) => ({
    ordinal,
    pod: `${serviceName}-${ordinal}`,
    host: `${serviceName}-${ordinal}.${serviceName}.${namespace}.svc.cluster.local`,
  }));
  return {
    name: serviceName,
    replicas: network.replicas,
    quorum: Math.floor(network.replicas / 2) + 1,
    storage: formatBytes(network.storage),
    cpu: network.cpu,
    memory: network.memory,
    environment: {
      KV_ELECTION_TIMEOUT_MS: String(Math.round(network.electionTimeout)),
      KV_SNAPSHOT_EVERY: String(network.snapshotEvery),
      KV_HTTP_ADDR: `0.0.0.0:${httpPort}`,
      KV_PEER_ADDR: `0.0.0.0:${peerPort}`,
    },
    members,
  };
}

/** The list each member reads: who the others are, where they answer and which public key proves them. */
export function peersDocument(plan: KvPlan, groupKeyHex: string): string {
  const peers = plan.members.map((member) => ({
    ordinal: member.ordinal,
    host: member.host,
    port: peerPort,
    publicKey: memberPublicKey(groupKeyHex, groupName, member.ordinal),
  }));
  return `${JSON.stringify({ configurationId: 1, peers }, null, 2)}\n`;
}
