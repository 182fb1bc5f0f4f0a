import { BlockList } from "node:net";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { usesTessera } from "../../schema/systems/quorum.ts";
import { ConfigError } from "../kubernetes/config-error.ts";
import { groupKey } from "../kubernetes/identity.ts";
import { labelsOf, selectorOf } from "../kubernetes/labels.ts";
import { addresses, allow, pods, tcp, toDns } from "../kubernetes/network-policy.ts";
import type { NetworkHandle } from "../network-handle.ts";
import { bootnodeGroup, createBootnode } from "./bootnode.ts";
import { deterministicRoot, keyGroups } from "./keys.ts";
import { createNodes, nodeContainerName } from "./nodes.ts";
import { chainOf, type Documents, documentsOf, enodeOf, managerUrl, nodeService, planQuorum, ports } from "./plan.ts";
import { createRacecourse } from "./racecourse.ts";
import { agentPath, type Group, type QuorumNetworkArgs, type Scope } from "./scope.ts";
import { tesseraDocument } from "./tessera.ts";

const agent = `${agentPath}/orrery-quorum`;

/**
 * An Ethereum network: nodes that agree on blocks, a bootnode, and private-transaction managers if asked for.
 *
 * It creates: a StatefulSet of the nodes with a volume each, its headless Service and one for all nodes together, the
 * network's document, the first block, the Secrets of nodes, managers and drivers, a PodDisruptionBudget that keeps
 * enough validators, a NetworkPolicy, the bootnode and the web app with what they need. About twenty objects for any
 * size.
 * Cost: per node the CPU, memory and volume of the experiment's `network` section; with private transactions 50m of CPU
 * and 160Mi more, 512Mi with Tessera itself; 20m and 64Mi for the bootnode.
 *
 * ```ts
 * const network = new QuorumNetwork("network", {experiment: "quorum", network: experiment.network, seed, target,
 *   namespace, rootSecret, callers: [driverLabels]}, {provider: target.provider});
 * network.handle.endpoints.apply((members) => members.map((member) => member.url));
 * ```
 */
export class QuorumNetwork extends pulumi.ComponentResource {
  readonly handle: NetworkHandle;

  constructor(name: string, args: QuorumNetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:quorum:QuorumNetwork", name, {}, opts);
    if (args.callers.length === 0) {
      const rule = "nobody could send an operation.";
      throw new ConfigError(name, "callers", args.callers, rule, "Name the drivers' labels.");
    }
    requireAddresses(name, args);
    const plan = planQuorum(args.network, args.namespace.name);
    const tessera = usesTessera(args.network, args.target.capabilities.pullsImages);
    const scope: Scope = { name, args, plan, keys: keysOf(args), tessera, parent: this };
    warnOfStandIn(scope);
    const owner = { instance: args.experiment, name: "quorum", component: "network" };
    const group: Group = { labels: labelsOf(owner), selector: selectorOf(owner) };
    const { node, bootnode, account, ptm, racecourse } = scope.keys;
    const documents = pulumi
      .all([node, bootnode, account, ptm, racecourse])
      .apply(([node, bootnode, account, ptm, racecourse]) =>
        documentsOf(args.network, plan, { node, bootnode, account, ptm, racecourse }),
      );

    const identity = createSecret(scope, group, "identity", { "group-key": scope.keys.node });
    const managerIdentity =
      args.network.privacy === "none"
        ? undefined
        : createSecret(scope, group, "ptm-identity", { "group-key": scope.keys.ptm });
    const credentials = createSecret(scope, group, "credentials", {
      "accounts-key": scope.keys.account,
      accounts: String(args.network.accounts),
    });
    const network = createDocument(scope, group, documents);
    const genesis = createGenesis(scope, group, documents);
    const service = createServices(scope, group);
    if (plan.bootnode !== undefined) createBootnode(scope, group);
    const nodes = createNodes(scope, group, { identity, managerIdentity, network, genesis, service });
    createDisruptionBudget(scope, group);
    createPolicy(scope, group);
    const web = args.network.racecourse;
    const pages = web === undefined ? [] : [createRacecourse(scope, group, web)];

    this.handle = {
      system: "quorum",
      namespace: args.namespace.created,
      endpoints: pulumi.unsecret(documents).apply((made) => endpointsOf(scope, made)), // public keys only
      podSelector: group.selector,
      crash: { container: nodeContainerName, command: [agent, "crash"] },
      pause: { container: nodeContainerName, command: [agent, "pause"] },
      credentials: credentials.metadata.name,
      servicePorts: [ports.rpc, ports.ws, ...(managerIdentity === undefined ? [] : [ports.ptmClient])],
      scrapeTargets: [
        {
          selector: group.selector,
          service: plan.name,
          portName: "metrics",
          port: ports.metrics,
          path: "/debug/metrics/prometheus",
        },
      ],
      ready: [...nodes, ...pages],
    };
    this.registerOutputs({ endpoints: this.handle.endpoints });
  }
}

/** The experiment's author should know what carries the private transactions; results say it as well. */
function warnOfStandIn({ args, tessera, parent }: Scope): void {
  if (args.network.privacy !== "tessera" || tessera) return;
  const reason = "private transactions go through nodes/ptm, a stand-in with Tessera's interface";
  pulumi.log.warn(`${reason}: target ${args.target.name} has no image of Tessera.`, parent);
}

/** Kubernetes would refuse an address of another range too, but only when most of the network is there. */
function requireAddresses(name: string, { network, target }: QuorumNetworkArgs): void {
  const [range = "", bits] = target.serviceCidr.split("/");
  const services = new BlockList();
  services.addSubnet(range, Number(bits), range.includes(":") ? "ipv6" : "ipv4");
  for (const [key, address] of Object.entries(network.addresses)) {
    if (address === undefined || services.check(address)) continue;
    const rule = `Services of this cluster have addresses of ${target.serviceCidr}.`;
    throw new ConfigError(name, `network.addresses.${key}`, address, rule, "Choose one of these, or leave it out.");
  }
}

function keysOf({ network, seed, rootSecret }: QuorumNetworkArgs): Scope["keys"] {
  const root = network.deterministic ? pulumi.secret(deterministicRoot(seed)) : rootSecret;
  const key = (group: string) => pulumi.secret(root.apply((secret) => groupKey(secret, "quorum", group)));
  return {
    node: key(keyGroups.node),
    bootnode: key(keyGroups.bootnode),
    account: key(keyGroups.account),
    ptm: key(keyGroups.ptm),
    racecourse: key(keyGroups.racecourse),
  };
}

function endpointsOf({ args, plan }: Scope, { identities, managerKeys }: Documents) {
  return plan.members.map((member) => {
    const { ordinal, pod, host } = member;
    const identity = identities[ordinal];
    if (identity === undefined) throw new RangeError(`node ${ordinal} has no identity`);
    const manager = managerKeys[ordinal];
    return {
      group: member.validator ? "validator" : "observer",
      ordinal,
      pod,
      url: `http://${host}:${ports.rpc}`,
      attributes: {
        ws: `ws://${host}:${ports.ws}`,
        address: identity.address,
        enode: enodeOf(plan, member, identity),
        consensus: args.network.consensus,
        ...(manager === undefined ? {} : { ptm: manager, ptmUrl: `http://${host}:${ports.ptmClient}` }),
      },
    };
  });
}

function createSecret(
  { name, args, parent, plan }: Scope,
  { labels }: Group,
  kind: string,
  values: Record<string, pulumi.Input<string>>,
): k8s.core.v1.Secret {
  return new k8s.core.v1.Secret(
    `${name}-${kind}`,
    {
      metadata: { name: `${plan.name}-${kind}`, namespace: args.namespace.created, labels },
      stringData: pulumi.secret(values),
    },
    { parent },
  );
}

/** Named and changed in place: nodes read it again by themselves, so a longer list rolls nobody. */
function createDocument(
  { name, args, parent, plan, tessera }: Scope,
  { labels }: Group,
  documents: pulumi.Output<Documents>,
): k8s.core.v1.ConfigMap {
  const made = pulumi.unsecret(documents); // public keys only
  const managers = {
    ...(args.network.privacy === "none" ? {} : { "ptm.json": made.managers }),
    ...(tessera ? { "tessera.json": tesseraDocument(plan.members.map(managerUrl)) } : {}),
  };
  return new k8s.core.v1.ConfigMap(
    `${name}-document`,
    {
      metadata: { name: `${plan.name}-network`, namespace: args.namespace.created, labels },
      data: { "network.json": made.network, ...managers },
    },
    { parent },
  );
}

/** Stays as it was made: a chain has one first block, whoever joins later. Other chains have other names. */
function createGenesis(
  { name, args, parent, plan }: Scope,
  { labels }: Group,
  documents: pulumi.Output<Documents>,
): k8s.core.v1.ConfigMap {
  const chain = chainOf(args.network);
  const made = pulumi.unsecret(documents); // addresses only
  return new k8s.core.v1.ConfigMap(
    `${name}-genesis-${chain}`,
    {
      metadata: { name: `${plan.name}-genesis-${chain}`, namespace: args.namespace.created, labels },
      data: { "genesis.json": made.genesis, "origin.json": made.origin },
    },
    { parent, ignoreChanges: ["data"] },
  );
}

/** A name for each node, and one for all of them that serve. */
function createServices({ name, args, parent, plan }: Scope, { labels, selector }: Group): k8s.core.v1.Service {
  const metadata = { namespace: args.namespace.created, labels };
  const { nodes } = args.network.addresses;
  new k8s.core.v1.Service(
    `${name}-node-service`,
    {
      metadata: { ...metadata, name: nodeService },
      spec: {
        ...(nodes === undefined ? {} : { clusterIP: nodes }),
        selector,
        ports: [
          { name: "rpc", port: ports.rpc },
          { name: "ws", port: ports.ws },
          { name: "p2p", port: ports.p2p },
        ],
      },
    },
    { parent },
  );
  return new k8s.core.v1.Service(
    `${name}-service`,
    {
      metadata: { ...metadata, name: plan.name },
      spec: {
        clusterIP: "None",
        publishNotReadyAddresses: true, // nodes find each other before any of them serves
        selector,
        ports: [
          { name: "rpc", port: ports.rpc },
          { name: "ws", port: ports.ws },
          { name: "p2p", port: ports.p2p },
          { name: "metrics", port: ports.metrics },
          { name: "agent", port: ports.agent },
        ],
      },
    },
    { parent },
  );
}

function createDisruptionBudget({ name, args, plan, parent }: Scope, { labels, selector }: Group): void {
  new k8s.policy.v1.PodDisruptionBudget(
    `${name}-quorum`,
    {
      metadata: { name: plan.name, namespace: args.namespace.created, labels },
      spec: { minAvailable: plan.quorum, selector: { matchLabels: selector } },
    },
    { parent },
  );
}

function createPolicy({ name, args, plan, parent }: Scope, { labels, selector }: Group): void {
  const managed = args.network.privacy !== "none";
  const amongNodes = [
    ...tcp(ports.p2p, ports.rpc, ...(plan.consensus === "raft" ? [ports.raft] : [])),
    ...(managed ? tcp(ports.ptmPeer) : []),
    { protocol: "UDP", port: ports.p2p },
  ];
  const bootnode = bootnodeGroup(args.experiment).selector;
  allow(
    `${name}-traffic`,
    {
      namespace: args.namespace.created,
      labels,
      selector,
      ingress: [
        { from: [pods(selector)], ports: amongNodes },
        { from: args.callers.map(pods), ports: tcp(ports.rpc, ports.ws, ...(managed ? [ports.ptmClient] : [])) },
        ...(plan.bootnode === undefined
          ? []
          : [{ from: [pods(bootnode)], ports: [{ protocol: "UDP", port: ports.p2p }] }]),
        {
          from: [addresses(args.target.apiServerCidr)], // service proxy, probes
          ports: tcp(ports.agent, ports.rpc, ...(managed ? [ports.ptmClient] : [])),
        },
      ],
      egress: [
        toDns,
        { to: [pods(selector)], ports: amongNodes },
        ...(plan.bootnode === undefined
          ? []
          : [{ to: [pods(bootnode)], ports: [{ protocol: "UDP", port: ports.discovery }] }]),
      ],
    },
    { parent },
  );
}
