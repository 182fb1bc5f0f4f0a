import { createHash } from "node:crypto";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { formatBytes } from "../../schema/units.ts";
import { ConfigError } from "../kubernetes/config-error.ts";
import { groupKey } from "../kubernetes/identity.ts";
import { labelsOf, selectorOf } from "../kubernetes/labels.ts";
import { claimSpec } from "../kubernetes/pod.ts";
import type { NetworkHandle } from "../network-handle.ts";
import { type Admin, adminOf } from "./admin.ts";
import { createAnchors } from "./anchors.ts";
import { createBootstrap } from "./bootstrap.ts";
import { password } from "./identity.ts";
import { type CeramicPlan, type GroupPlan, groupDaemonConfig, knownPeers, peersDocument, planCeramic } from "./plan.ts";
import { peerPod } from "./pod.ts";
import { createPolicies } from "./policies.ts";
import type { CeramicNetworkArgs, Scope } from "./scope.ts";
import { ports } from "./settings.ts";

/**
 * A Ceramic network: js-ceramic over kubo, or over a ceramic-one of yours, in groups of peers that are alike.
 *
 * It creates per group a StatefulSet with two volumes per peer, its headless Service, its configuration and the Secret
 * its peers' keys are derived from; for all groups the admin's Secret, the peers file `keramik-peers`, a
 * PodDisruptionBudget, NetworkPolicies, and the Job that connects the peers.
 * Cost: per peer 300m CPU, 768Mi memory and 2Gi of volumes unless the `network` section says otherwise.
 *
 * ```ts
 * const network = new CeramicNetwork("network", {experiment, target, namespace, rootSecret, callers: [driverLabels]},
 *   {provider: target.provider});
 * network.handle.endpoints.apply((peers) => peers.map((peer) => peer.url));
 * ```
 */
export class CeramicNetwork extends pulumi.ComponentResource {
  readonly handle: NetworkHandle;

  constructor(name: string, args: CeramicNetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:ceramic:CeramicNetwork", name, {}, opts);
    if (args.callers.length === 0) {
      const rule = "nobody could send an operation.";
      throw new ConfigError(name, "callers", args.callers, rule, "Name the drivers' labels.");
    }
    const { network, seed } = args.experiment;
    const plan = planCeramic(network, seed, args.namespace.name);
    const owner = { instance: args.experiment.name, name: "ceramic", component: "network" };
    const scope: Scope = { name, args, plan, labels: labelsOf(owner), selector: selectorOf(owner), parent: this };

    const keys = Object.fromEntries(
      plan.groups.map((group) => [group.name, args.rootSecret.apply((root) => groupKey(root, "ceramic", group.name))]),
    );
    const known = pulumi.unsecret(pulumi.all(keys).apply((hex) => knownPeers(plan, hex))); // public identities only
    const admin = adminOf(scope);
    const credentials = createCredentials(scope, admin);
    const peers = createPeers(scope, known.apply(peersDocument));
    createDisruptionBudget(scope);
    createPolicies(scope);
    const anchors = createAnchors(scope);
    const sets = plan.groups.map((group) =>
      createGroup(scope, group, { key: keys[group.name], admin, peers, anchors }),
    );
    const bootstrap = createBootstrap(scope, peers.metadata.name, sets);

    this.handle = {
      system: "ceramic",
      namespace: args.namespace.created,
      endpoints: known.apply((list) => list.map((peer) => endpointOf(peer, network.networkType))),
      podSelector: scope.selector,
      ...(network.groups.every(({ image }) => image === undefined) ? { crash } : {}),
      credentials: credentials.metadata.name,
      servicePorts: [ports.api, ports.rpc, ...(usesRust(plan) ? [ports.ipfsMetrics] : [])],
      scrapeTargets: plan.groups.map((group) => ({
        selector: groupSelector(scope, group),
        service: group.name,
        portName: "metrics",
        port: ports.metrics,
        path: "/metrics",
      })),
      ready: [...sets, ...(bootstrap === undefined ? [] : [bootstrap])],
    };
    this.registerOutputs({ endpoints: this.handle.endpoints, peers: known, adminDid: admin.did });
  }
}

/** Of the image built here; another one need not have it. */
const crash = { container: "ceramic", command: ["/usr/local/bin/node", "/app/crash.ts"] };

const usesRust = (plan: CeramicPlan): boolean => plan.peers.some(({ ipfsKind }) => ipfsKind === "rust");

function endpointOf(peer: ReturnType<typeof knownPeers>[number], network: string) {
  return {
    group: peer.group,
    ordinal: peer.ordinal,
    pod: peer.pod,
    url: `http://${peer.host}:${ports.api}`,
    attributes: {
      ipfs: `http://${peer.host}:${ports.rpc}`,
      ipfsKind: peer.ipfsKind,
      ...(peer.ipfsKind === "rust" ? { metrics: `http://${peer.host}:${ports.ipfsMetrics}` } : {}),
      network,
      peerId: peer.peerId,
      did: peer.did,
    },
  };
}

/** The admin's key, for whoever has models indexed: drivers. Also under Keramik's name for it. */
function createCredentials({ name, args, labels, parent }: Scope, admin: Admin): k8s.core.v1.Secret {
  return new k8s.core.v1.Secret(
    `${name}-admin`,
    {
      metadata: { name: "ceramic-admin", namespace: args.namespace.created, labels },
      stringData: { "admin-seed": admin.seed, "private-key": admin.seed },
    },
    { parent },
  );
}

/** Named and changed in place: it is read by peers that start, so a longer list rolls nobody. */
function createPeers({ name, args, labels, parent }: Scope, document: pulumi.Output<string>): k8s.core.v1.ConfigMap {
  return new k8s.core.v1.ConfigMap(
    `${name}-peers`,
    {
      metadata: { name: "keramik-peers", namespace: args.namespace.created, labels },
      data: { "peers.json": document },
    },
    { parent },
  );
}

interface GroupParts {
  readonly key: pulumi.Output<string> | undefined;
  readonly admin: Admin;
  readonly peers: k8s.core.v1.ConfigMap;
  /** What has to serve before a peer starts. */
  readonly anchors: readonly pulumi.Resource[];
}

/** Labels of a group's peers; those of all peers alone would let one group's Service answer with another's. */
function groupSelector({ selector }: Scope, group: GroupPlan): Record<string, string> {
  return { ...selector, "orrery.dev/group": group.name };
}

function createGroup(scope: Scope, group: GroupPlan, parts: GroupParts): k8s.apps.v1.StatefulSet {
  const { name, args, parent } = scope;
  const namespace = args.namespace.created;
  const selector = groupSelector(scope, group);
  const labels = { ...scope.labels, ...selector };
  const key = parts.key ?? pulumi.secret("");
  const identity = new k8s.core.v1.Secret(
    `${name}-${group.name}-identity`,
    {
      metadata: { name: `${group.name}-identity`, namespace, labels },
      stringData: {
        "group-key": pulumi.secret(key),
        ...(group.group.index === "postgres"
          ? { "postgres-password": pulumi.secret(key.apply((hex) => password(hex, `${group.name}/postgres`))) }
          : {}),
      },
    },
    { parent },
  );
  const data = parts.admin.did.apply((did) => ({
    "daemon-config.json": text(groupDaemonConfig(group, did)),
    ...(group.kuboConfig === undefined ? {} : { "kubo-config.json": text(group.kuboConfig) }),
  }));
  const settings = new k8s.core.v1.ConfigMap(
    `${name}-${group.name}-settings`,
    { metadata: { name: `${group.name}-settings`, namespace, labels }, data },
    { parent },
  );
  const service = createService(scope, group, labels, selector);
  const pod = peerPod(group, {
    network: args.experiment.network,
    bootstrap: scope.plan.bootstrap,
    images: args.target.images,
    settings: settings.metadata.name,
    identity: identity.metadata.name,
    peers: parts.peers.metadata.name,
    selector,
  });
  return new k8s.apps.v1.StatefulSet(
    `${name}-${group.name}`,
    {
      metadata: { name: group.name, namespace, labels },
      spec: {
        serviceName: service.metadata.name,
        replicas: group.replicas,
        podManagementPolicy: "Parallel",
        persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" },
        selector: { matchLabels: selector },
        template: { metadata: { labels, annotations: { "orrery.dev/configuration": data.apply(hashOf) } }, spec: pod },
        volumeClaimTemplates: volumeClaims(group, args.target.storageClass),
      },
    },
    { parent, dependsOn: [...parts.anchors] },
  );
}

const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
const hashOf = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 12);

function createService(
  { name, args, parent }: Scope,
  group: GroupPlan,
  labels: Record<string, string>,
  selector: Record<string, string>,
): k8s.core.v1.Service {
  const rust = group.group.ipfs.kind === "rust";
  return new k8s.core.v1.Service(
    `${name}-${group.name}-service`,
    {
      metadata: { name: group.name, namespace: args.namespace.created, labels },
      spec: {
        clusterIP: "None",
        publishNotReadyAddresses: true, // peers find each other before any of them serves
        selector,
        ports: [
          { name: "api", port: ports.api },
          { name: "ipfs", port: ports.rpc },
          ...(rust ? [{ name: "flight", port: ports.flight }] : []),
          { name: "swarm-tcp", port: ports.swarm },
          { name: "metrics", port: ports.metrics },
          ...(rust ? [{ name: "ipfs-metrics", port: ports.ipfsMetrics }] : []),
        ],
      },
    },
    { parent },
  );
}

function volumeClaims({ group }: GroupPlan, storageClass: string | undefined) {
  const claim = (name: string, bytes: number, own: string | undefined) => {
    const storageClassName = own ?? storageClass;
    return {
      metadata: { name },
      spec: claimSpec(formatBytes(bytes), storageClassName),
    };
  };
  return [
    claim("ceramic-data", group.storage, group.storageClass),
    claim("ipfs-data", group.ipfs.storage, group.ipfs.storageClass),
    ...(group.index === "postgres" ? [claim("postgres-data", group.postgres.storage, group.storageClass)] : []),
  ];
}

function createDisruptionBudget({ name, args, labels, selector, parent }: Scope): void {
  new k8s.policy.v1.PodDisruptionBudget(
    `${name}-budget`,
    {
      metadata: { name: "ceramic", namespace: args.namespace.created, labels },
      spec: { maxUnavailable: 1, selector: { matchLabels: selector } },
    },
    { parent },
  );
}
