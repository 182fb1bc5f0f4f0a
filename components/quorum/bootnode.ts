import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { labelsOf, selectorOf } from "../kubernetes/labels.ts";
import { addresses, allow, pods, tcp, toDns } from "../kubernetes/network-policy.ts";
import { httpProbes, resources, restrictedContainer, restrictedPod } from "../kubernetes/pod.ts";
import { bootnodeService, ports } from "./plan.ts";
import { agentInstaller, agentPath, clientImage, type Group, identityPath, runPath, type Scope } from "./scope.ts";

const udp = (port: number) => ({ protocol: "UDP", port });

/** Labels of the bootnode's pod. */
export function bootnodeGroup(experiment: string): Group {
  const owner = { instance: experiment, name: "quorum-bootnode", component: "network" };
  return { labels: labelsOf(owner), selector: selectorOf(owner) };
}

/** A bootnode behind an address that stays: five objects, 20m of CPU and 64Mi. */
export function createBootnode(scope: Scope, nodes: Group): void {
  const { name, args, parent } = scope;
  const group = bootnodeGroup(args.experiment);
  const metadata = { namespace: args.namespace.created, labels: group.labels };
  const identity = new k8s.core.v1.Secret(
    `${name}-bootnode-identity`,
    {
      metadata: { ...metadata, name: "bootnode-identity" },
      stringData: { "group-key": pulumi.secret(scope.keys.bootnode) },
    },
    { parent },
  );
  createService(scope, group);
  new k8s.apps.v1.Deployment(
    `${name}-bootnode`,
    {
      metadata: { ...metadata, name: "bootnode" },
      spec: {
        replicas: 1,
        strategy: { type: "Recreate" },
        selector: { matchLabels: group.selector },
        template: { metadata: { labels: group.labels }, spec: podSpec(scope, identity) },
      },
    },
    { parent },
  );
  allow(
    `${name}-bootnode-traffic`,
    {
      ...metadata,
      selector: group.selector,
      ingress: [
        { from: [pods(nodes.selector)], ports: [udp(ports.discovery)] },
        { from: [addresses(args.target.apiServerCidr)], ports: tcp(ports.agent) }, // probes
      ],
      egress: [toDns, { to: [pods(nodes.selector)], ports: [udp(ports.p2p)] }],
    },
    { parent },
  );
}

function createService({ name, args, parent }: Scope, { labels, selector }: Group): void {
  const { bootnode } = args.network.addresses;
  new k8s.core.v1.Service(
    `${name}-bootnode-service`,
    {
      metadata: { name: bootnodeService, namespace: args.namespace.created, labels },
      spec: {
        ...(bootnode === undefined ? {} : { clusterIP: bootnode }),
        publishNotReadyAddresses: true,
        selector,
        ports: [{ name: "discovery", port: ports.discovery, protocol: "UDP" }],
      },
    },
    { parent },
  );
}

function podSpec(scope: Scope, identity: k8s.core.v1.Secret): k8s.types.input.core.v1.PodSpec {
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: 5,
    initContainers: [agentInstaller(scope, restrictedContainer)],
    containers: [
      {
        name: "bootnode",
        image: clientImage(scope),
        imagePullPolicy: "IfNotPresent",
        command: [`${agentPath}/orrery-quorum`, "bootnode"],
        env: [
          { name: "QUORUM_GROUP_KEY_FILE", value: `${identityPath}/group-key` },
          { name: "QUORUM_RUN_DIR", value: runPath },
          { name: "QUORUM_LISTEN", value: `0.0.0.0:${ports.agent}` },
          { name: "QUORUM_DISCOVERY_PORT", value: String(ports.discovery) },
        ],
        ports: [
          { name: "http", containerPort: ports.agent },
          { name: "discovery", containerPort: ports.discovery, protocol: "UDP" },
        ],
        resources: resources(0.02, 64 * 2 ** 20, 0.2),
        securityContext: restrictedContainer,
        ...httpProbes,
        volumeMounts: [
          { name: "agent", mountPath: agentPath, readOnly: true },
          { name: "identity", mountPath: identityPath, readOnly: true },
          { name: "run", mountPath: runPath },
        ],
      },
    ],
    volumes: [
      { name: "agent", emptyDir: { sizeLimit: "64Mi" } },
      { name: "identity", secret: { secretName: identity.metadata.name, defaultMode: 0o440 } },
      { name: "run", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
    ],
  };
}
