import type * as k8s from "@pulumi/kubernetes";
import type { QuorumSection } from "../../schema/systems/quorum.ts";
import { resources, restrictedContainer } from "../kubernetes/pod.ts";
import { ports } from "./plan.ts";
import { dataPath, identityPath, nameVariable, networkPath, type Scope } from "./scope.ts";
import { tesseraPaths } from "./tessera.ts";

export const managerPath = tesseraPaths.run;
const managerSocket = `${managerPath}/tm.ipc`;

type Privacy = Exclude<QuorumSection["privacy"], "none">;
type Container = k8s.types.input.core.v1.Container;

/** Where a node finds the manager of its pod: Constellation's interface has only a socket. */
export function managerOf(privacy: Privacy): string {
  return privacy === "constellation" ? managerSocket : `http://127.0.0.1:${ports.ptmNode}`;
}

/** The private-transaction manager beside the node, if there is one; it keeps its payloads on the node's volume. */
export function managerContainers(scope: Scope, ownSetOf: number | undefined): Container[] {
  const { privacy } = scope.args.network;
  if (privacy === "none") return [];
  return [scope.tessera ? tesseraContainer(scope) : standInContainer(scope, privacy, ownSetOf)];
}

/** What writes Tessera's configuration and keys; the stand-in derives its own. */
export function managerInitContainers({ args, tessera }: Scope, ownSetOf: number | undefined): Container[] {
  if (!tessera) return [];
  const small = { cpu: "10m", memory: "32Mi" };
  return [
    {
      name: "ptm-configuration",
      image: args.target.images("quorum-agent"),
      imagePullPolicy: "IfNotPresent",
      args: ["tessera"],
      env: [
        nameVariable("QUORUM_POD_NAME", ownSetOf),
        { name: "QUORUM_GROUP_KEY_FILE", value: `${identityPath}/group-key` },
        { name: "QUORUM_MANAGERS_FILE", value: `${networkPath}/ptm.json` },
        { name: "QUORUM_TESSERA_FILE", value: `${networkPath}/tessera.json` },
        { name: "QUORUM_RUN_DIR", value: managerPath },
      ],
      resources: { requests: small, limits: { cpu: "500m", memory: "64Mi" } },
      securityContext: restrictedContainer,
      volumeMounts: [
        { name: "ptm", mountPath: managerPath },
        { name: "ptm-identity", mountPath: identityPath, readOnly: true },
        { name: "network", mountPath: networkPath, readOnly: true },
      ],
    },
  ];
}

export function managerVolumes(
  { tessera }: Scope,
  identity: k8s.core.v1.Secret | undefined,
): k8s.types.input.core.v1.Volume[] {
  if (identity === undefined) return [];
  return [
    { name: "ptm", emptyDir: { ...(tessera ? { medium: "Memory" } : {}), sizeLimit: "1Mi" } }, // Tessera's key is in it
    { name: "ptm-identity", secret: { secretName: identity.metadata.name, defaultMode: 0o440 } },
    ...(tessera ? [{ name: "ptm-tmp", emptyDir: { sizeLimit: "64Mi" } }] : []),
  ];
}

/** A JVM: it starts in half a minute or so and takes what it is given, so its heap is bounded. */
function tesseraContainer({ args }: Scope): Container {
  return {
    name: "ptm",
    image: args.target.images("tessera"),
    imagePullPolicy: "IfNotPresent",
    args: ["-configfile", `${managerPath}/tessera.json`],
    env: [{ name: "JAVA_OPTS", value: "-Xms64m -Xmx256m -Djava.io.tmpdir=/tmp" }],
    ports: managerPorts,
    resources: resources(0.05, 512 * 2 ** 20, 1),
    securityContext: restrictedContainer,
    startupProbe: { httpGet: upcheck, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 90 },
    readinessProbe: { httpGet: upcheck, periodSeconds: 2, timeoutSeconds: 2 },
    livenessProbe: { httpGet: upcheck, periodSeconds: 10, timeoutSeconds: 5 },
    volumeMounts: [
      { name: "data", mountPath: dataPath },
      { name: "ptm", mountPath: managerPath, readOnly: true },
      { name: "ptm-tmp", mountPath: "/tmp" },
    ],
  };
}

const upcheck = { path: "/upcheck", port: "ptm-client" };
const managerPorts = [
  { name: "ptm-peer", containerPort: ports.ptmPeer },
  { name: "ptm-client", containerPort: ports.ptmClient },
];

/** nodes/ptm, which speaks the interface of either manager. */
function standInContainer({ args }: Scope, privacy: Privacy, ownSetOf: number | undefined): Container {
  return {
    name: "ptm",
    image: args.target.images("ptm"),
    imagePullPolicy: "IfNotPresent",
    env: [
      nameVariable("PTM_POD_NAME", ownSetOf),
      { name: "PTM_MODE", value: privacy },
      {
        name: "PTM_NODE_ADDR",
        value: privacy === "constellation" ? `unix:${managerSocket}` : `127.0.0.1:${ports.ptmNode}`,
      },
      { name: "PTM_GROUP_KEY_FILE", value: `${identityPath}/group-key` },
      { name: "PTM_PEERS_FILE", value: `${networkPath}/ptm.json` },
      { name: "PTM_DATA_DIR", value: `${dataPath}/ptm` },
      { name: "PTM_PEER_ADDR", value: `0.0.0.0:${ports.ptmPeer}` },
      { name: "PTM_CLIENT_ADDR", value: `0.0.0.0:${ports.ptmClient}` },
    ],
    ports: managerPorts,
    resources: resources(0.05, 160 * 2 ** 20, 0.5),
    securityContext: restrictedContainer,
    readinessProbe: { httpGet: { path: "/readyz", port: "ptm-client" }, periodSeconds: 2, timeoutSeconds: 2 },
    livenessProbe: {
      httpGet: { path: "/healthz", port: "ptm-client" },
      initialDelaySeconds: 10,
      periodSeconds: 10,
      timeoutSeconds: 5,
    },
    volumeMounts: [
      { name: "data", mountPath: dataPath },
      { name: "ptm", mountPath: managerPath },
      { name: "ptm-identity", mountPath: identityPath, readOnly: true },
      { name: "network", mountPath: networkPath, readOnly: true },
    ],
  };
}
