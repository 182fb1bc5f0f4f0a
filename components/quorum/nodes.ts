import * as k8s from "@pulumi/kubernetes";
import {
  claimSpec,
  httpProbes,
  resources,
  restrictedContainer,
  restrictedPod,
  spreadOverNodes,
} from "../kubernetes/pod.ts";
import { createClaim, type OwnClaim } from "./claims.ts";
import { managerContainers, managerInitContainers, managerOf, managerPath, managerVolumes } from "./managers.ts";
import { ports, type QuorumMember } from "./plan.ts";
import {
  agentInstaller,
  agentPath,
  clientImage,
  dataPath,
  type Group,
  identityPath,
  nameVariable,
  networkPath,
  runPath,
  type Scope,
} from "./scope.ts";

const genesisPath = "/etc/orrery/genesis";
export const nodeContainerName = "node";

/** What the pods mount. */
export interface NodeParts {
  readonly identity: k8s.core.v1.Secret;
  readonly managerIdentity: k8s.core.v1.Secret | undefined;
  readonly network: k8s.core.v1.ConfigMap;
  readonly genesis: k8s.core.v1.ConfigMap;
  readonly service: k8s.core.v1.Service;
}

/** The StatefulSets of the nodes: one of all with a claim template, or one for each with a claim of its own. */
export function createNodes(scope: Scope, group: Group, parts: NodeParts): k8s.apps.v1.StatefulSet[] {
  const { args, plan } = scope;
  if (args.network.layout === "one-set") return [createSet(scope, group, parts)];
  return plan.members.map((member) => createSet(scope, group, parts, member));
}

function createSet(scope: Scope, group: Group, parts: NodeParts, only?: QuorumMember): k8s.apps.v1.StatefulSet {
  const { name, args, plan, parent } = scope;
  // Sets of one node each: no pod may fit the selector of two.
  const own = only === undefined ? {} : { "orrery.dev/ordinal": String(only.ordinal) };
  return new k8s.apps.v1.StatefulSet(
    only === undefined ? `${name}-nodes` : `${name}-node-${only.ordinal}`,
    {
      metadata: {
        name: only?.set ?? plan.name,
        namespace: args.namespace.created,
        labels: { ...group.labels, ...own },
      },
      spec: {
        serviceName: parts.service.metadata.name,
        replicas: only === undefined ? plan.members.length : 1,
        podManagementPolicy: "Parallel", // nobody serves before most run
        selector: { matchLabels: { ...group.selector, ...own } },
        template: {
          metadata: { labels: { ...group.labels, ...own } },
          spec: podSpec(scope, group, parts, only === undefined ? undefined : createClaim(scope, group, only)),
        },
        ...(only === undefined
          ? {
              persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" },
              volumeClaimTemplates: [
                { metadata: { name: "data" }, spec: claimSpec(plan.storage, args.target.storageClass) },
              ],
            }
          : {}),
      },
    },
    { parent },
  );
}

function podSpec(
  scope: Scope,
  { selector }: Group,
  parts: NodeParts,
  claim: OwnClaim | undefined,
): k8s.types.input.core.v1.PodSpec {
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    shareProcessNamespace: true, // lets a fault end the node by SIGKILL, which its first process is immune to
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: 20, // geth writes what it holds in memory
    topologySpreadConstraints: spreadOverNodes(selector),
    initContainers: [agentInstaller(scope, restrictedContainer), ...managerInitContainers(scope, claim?.ordinal)],
    containers: [nodeContainer(scope, claim), ...managerContainers(scope, claim?.ordinal)],
    volumes: [
      ...(claim === undefined ? [] : [{ name: "data", persistentVolumeClaim: { claimName: claim.name } }]),
      { name: "agent", emptyDir: { sizeLimit: "64Mi" } },
      { name: "run", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } }, // private keys, never on a disk
      { name: "identity", secret: { secretName: parts.identity.metadata.name, defaultMode: 0o440 } },
      { name: "network", configMap: { name: parts.network.metadata.name } },
      { name: "genesis", configMap: { name: parts.genesis.metadata.name } },
      ...managerVolumes(scope, parts.managerIdentity),
    ],
  };
}

function nodeContainer(scope: Scope, claim: OwnClaim | undefined): k8s.types.input.core.v1.Container {
  const { plan } = scope;
  const { privacy } = scope.args.network;
  return {
    name: nodeContainerName,
    image: clientImage(scope),
    imagePullPolicy: "IfNotPresent",
    command: [`${agentPath}/orrery-quorum`, "node"],
    env: [
      nameVariable("QUORUM_POD_NAME", claim?.ordinal),
      { name: "QUORUM_POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      { name: "QUORUM_GROUP_KEY_FILE", value: `${identityPath}/group-key` },
      { name: "QUORUM_NETWORK_FILE", value: `${networkPath}/network.json` },
      { name: "QUORUM_GENESIS_DIR", value: genesisPath },
      { name: "QUORUM_DATA_DIR", value: `${dataPath}/node` },
      { name: "QUORUM_RUN_DIR", value: runPath },
      { name: "QUORUM_LISTEN", value: `0.0.0.0:${ports.agent}` },
      { name: "HOME", value: runPath },
      { name: "GOMEMLIMIT", value: String(Math.floor(plan.memory * 0.8)) },
      ...(privacy === "none" ? [] : [{ name: "QUORUM_PTM", value: managerOf(privacy) }]),
    ],
    ports: [
      { name: "http", containerPort: ports.agent },
      { name: "rpc", containerPort: ports.rpc },
      { name: "ws", containerPort: ports.ws },
      { name: "metrics", containerPort: ports.metrics },
      { name: "p2p", containerPort: ports.p2p },
      { name: "discovery", containerPort: ports.p2p, protocol: "UDP" },
    ],
    resources: resources(plan.cpu, plan.memory, plan.cpu * 10),
    securityContext: restrictedContainer,
    ...httpProbes,
    volumeMounts: [
      { name: "agent", mountPath: agentPath, readOnly: true },
      { name: "data", mountPath: dataPath },
      { name: "run", mountPath: runPath },
      { name: "identity", mountPath: identityPath, readOnly: true },
      { name: "network", mountPath: networkPath, readOnly: true },
      { name: "genesis", mountPath: genesisPath, readOnly: true },
      ...(privacy === "none" ? [] : [{ name: "ptm", mountPath: managerPath }]),
    ],
  };
}
