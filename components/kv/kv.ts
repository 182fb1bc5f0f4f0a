import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Experiment } from "../../schema/experiment.ts";
import type { ClusterTarget } from "../cluster-target.ts";
import { ConfigError } from "../kubernetes/config-error.ts";
import { groupKey } from "../kubernetes/identity.ts";
import { labelsOf, selectorOf } from "../kubernetes/labels.ts";
import type { NamespaceHandle } from "../kubernetes/namespace.ts";
import { allow, pods, tcp, toDns } from "../kubernetes/network-policy.ts";
import {
  claimSpec,
  httpProbes,
  podNameVariable,
  resources,
  restrictedContainer,
  restrictedPod,
  spreadOverNodes,
} from "../kubernetes/pod.ts";
import type { NetworkHandle } from "../network-handle.ts";
import { type TelemetryHandle, telemetryVariables, toCollector } from "../telemetry.ts";
import { groupName, httpPort, type KvPlan, peerPort, peersDocument, planKv } from "./plan.ts";

export interface KvNetworkArgs {
  /** Experiment the network belongs to; its name is the instance label. */
  readonly experiment: string;
  readonly network: Extract<Experiment["network"], { system: "kv" }>;
  readonly target: ClusterTarget;
  readonly namespace: NamespaceHandle;
  /** The stack's root secret, 32 bytes in hex. */
  readonly rootSecret: pulumi.Output<string>;
  /** Labels of the pods that may send operations: drivers and the conductor. */
  readonly callers: readonly Record<string, string>[];
  /** Where members send telemetry; absent when nothing collects it. */
  readonly telemetry?: TelemetryHandle | undefined;
}

const containerName = "kv";
const crashCommand = ["/usr/local/bin/orrery-crash", "orrery-kv"];
const pauseCommand = ["/usr/local/bin/orrery-pause", "orrery-kv"];
const identityPath = "/run/orrery/identity";
const peersPath = "/etc/orrery";
const dataPath = "/data";

/**
 * A replicated key-value store: one consensus group over OmniPaxos.
 *
 * It creates: a StatefulSet with a volume per member, its headless Service, the peer list, the group's identity
 * Secret, a PodDisruptionBudget that keeps a majority, and a NetworkPolicy. Seven objects for any size.
 * Cost: per member the CPU, memory and volume of the experiment's `network` section.
 *
 * ```ts
 * const network = new KvNetwork("network", {experiment: "kv", network: experiment.network, target,
 *   namespace, rootSecret, callers: [driverLabels]}, {provider: target.provider});
 * network.handle.endpoints.apply((members) => members.map((member) => member.url));
 * ```
 */
export class KvNetwork extends pulumi.ComponentResource {
  readonly handle: NetworkHandle;

  constructor(name: string, args: KvNetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:kv:KvNetwork", name, {}, opts);
    if (args.callers.length === 0) {
      throw new ConfigError(
        name,
        "callers",
        args.callers,
        "nobody could send an operation.",
        "Name the drivers' labels.",
      );
    }
    const plan = planKv(args.network, args.namespace.name);
    const owner = { instance: args.experiment, name: "kv", component: "network" };
    const scope: Scope = { name, args, plan, labels: labelsOf(owner), selector: selectorOf(owner), parent: this };

    const key = args.rootSecret.apply((root) => groupKey(root, "kv", groupName));
    const identity = createIdentity(scope, key);
    const peers = createPeers(scope, key);
    const service = createService(scope);
    const members = createMembers(scope, { identity, peers, service });
    createDisruptionBudget(scope);
    createPolicy(scope);

    this.handle = {
      system: "kv",
      namespace: args.namespace.created,
      endpoints: pulumi.output(
        plan.members.map(({ ordinal, pod, host }) => ({
          group: groupName,
          ordinal,
          pod,
          url: `http://${host}:${httpPort}`,
        })),
      ),
      podSelector: scope.selector,
      ...(args.network.image === undefined
        ? {
            crash: { container: containerName, command: crashCommand },
            pause: { container: containerName, command: pauseCommand },
          }
        : {}),
      servicePorts: [httpPort],
      scrapeTargets: [
        { selector: scope.selector, service: plan.name, portName: "http", port: httpPort, path: "/metrics" },
      ],
      ready: [members],
    };
    this.registerOutputs({ endpoints: this.handle.endpoints });
  }
}

interface Scope {
  readonly name: string;
  readonly args: KvNetworkArgs;
  readonly plan: KvPlan;
  readonly labels: Record<string, string>;
  readonly selector: Record<string, string>;
  readonly parent: pulumi.Resource;
}

function createIdentity({ name, args, plan, labels, parent }: Scope, key: pulumi.Output<string>): k8s.core.v1.Secret {
  return new k8s.core.v1.Secret(
    `${name}-identity`,
    {
      metadata: { name: `${plan.name}-identity`, namespace: args.namespace.created, labels },
      stringData: { "group-key": pulumi.secret(key) },
    },
    { parent },
  );
}

/** Named and changed in place: members read it again by themselves, so a longer list rolls nobody. */
function createPeers({ name, args, plan, labels, parent }: Scope, key: pulumi.Output<string>): k8s.core.v1.ConfigMap {
  const document = key.apply((hex) => peersDocument(plan, hex));
  return new k8s.core.v1.ConfigMap(
    `${name}-peers`,
    {
      metadata: { name: `${plan.name}-peers`, namespace: args.namespace.created, labels },
      data: { "peers.json": pulumi.unsecret(document) }, // public keys only
    },
    { parent },
  );
}

function createService({ name, args, plan, labels, selector, parent }: Scope): k8s.core.v1.Service {
  return new k8s.core.v1.Service(
    `${name}-service`,
    {
      metadata: { name: plan.name, namespace: args.namespace.created, labels },
      spec: {
        clusterIP: "None",
        publishNotReadyAddresses: true, // members find each other before any of them serves
        selector,
        ports: [
          { name: "http", port: httpPort },
          { name: "peer", port: peerPort },
        ],
      },
    },
    { parent },
  );
}

interface MemberParts {
  readonly identity: k8s.core.v1.Secret;
  readonly peers: k8s.core.v1.ConfigMap;
  readonly service: k8s.core.v1.Service;
}

function createMembers(scope: Scope, parts: MemberParts): k8s.apps.v1.StatefulSet {
  const { name, args, plan, labels, selector, parent } = scope;
  return new k8s.apps.v1.StatefulSet(
    `${name}-members`,
    {
      metadata: { name: plan.name, namespace: args.namespace.created, labels },
      spec: {
        serviceName: parts.service.metadata.name,
        replicas: plan.replicas,
        podManagementPolicy: "Parallel", // nobody serves before a majority runs
        persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" },
        selector: { matchLabels: selector },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            shareProcessNamespace: true, // lets a fault end the member by SIGKILL, which its first process is immune to
            securityContext: restrictedPod,
            terminationGracePeriodSeconds: 5,
            topologySpreadConstraints: spreadOverNodes(selector),
            containers: [memberContainer(scope)],
            volumes: [
              { name: "identity", secret: { secretName: parts.identity.metadata.name, defaultMode: 0o440 } },
              { name: "peers", configMap: { name: parts.peers.metadata.name } },
            ],
          },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: "data" },
            spec: claimSpec(plan.storage, args.target.storageClass),
          },
        ],
      },
    },
    { parent },
  );
}

function memberContainer({ args, plan }: Scope): k8s.types.input.core.v1.Container {
  return {
    name: containerName,
    image: args.network.image ?? args.target.images("kv"),
    imagePullPolicy: "IfNotPresent",
    env: [
      podNameVariable("KV_POD_NAME"),
      { name: "KV_DATA_DIR", value: dataPath },
      { name: "KV_PEERS_FILE", value: `${peersPath}/peers.json` },
      { name: "KV_GROUP_KEY_FILE", value: `${identityPath}/group-key` },
      ...Object.entries(plan.environment).map(([variable, value]) => ({ name: variable, value })),
      ...telemetryVariables(args.telemetry, "orrery-kv"),
    ],
    ports: [
      { name: "http", containerPort: httpPort },
      { name: "peer", containerPort: peerPort },
    ],
    resources: resources(plan.cpu, plan.memory),
    securityContext: restrictedContainer,
    ...httpProbes,
    volumeMounts: [
      { name: "data", mountPath: dataPath },
      { name: "identity", mountPath: identityPath, readOnly: true },
      { name: "peers", mountPath: peersPath, readOnly: true },
    ],
  };
}

function createDisruptionBudget({ name, args, plan, labels, selector, parent }: Scope): void {
  new k8s.policy.v1.PodDisruptionBudget(
    `${name}-quorum`,
    {
      metadata: { name: plan.name, namespace: args.namespace.created, labels },
      spec: { minAvailable: plan.quorum, selector: { matchLabels: selector } },
    },
    { parent },
  );
}

function createPolicy({ name, args, labels, selector, parent }: Scope): void {
  allow(
    `${name}-traffic`,
    {
      namespace: args.namespace.created,
      labels,
      selector,
      ingress: [
        { from: [pods(selector)], ports: tcp(peerPort) },
        { from: args.callers.map(pods), ports: tcp(httpPort) },
        { from: [{ ipBlock: { cidr: args.target.apiServerCidr } }], ports: tcp(httpPort) }, // service proxy, probes
      ],
      egress: [toDns, { to: [pods(selector)], ports: tcp(peerPort) }, ...toCollector(args.telemetry)],
    },
    { parent },
  );
}
