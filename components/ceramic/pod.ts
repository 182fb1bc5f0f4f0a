import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { CeramicSection } from "../../schema/systems/ceramic.ts";
import type { CeramicResources } from "../../schema/systems/ceramic-group.ts";
import { formatBytes, formatCpu } from "../../schema/units.ts";
import { podNameVariable, restrictedContainer, restrictedPod, spreadOverNodes } from "../kubernetes/pod.ts";
import type { CeramicPlan, GroupPlan } from "./plan.ts";
import { paths, ports } from "./settings.ts";

type Container = k8s.types.input.core.v1.Container;

/** What a peer's pod is made of besides its group's plan. */
export interface PodParts {
  readonly network: CeramicSection;
  readonly bootstrap: CeramicPlan["bootstrap"];
  /** Reference of an image of images/table.ts. */
  readonly images: (name: string) => pulumi.Input<string>;
  /** Names of the group's ConfigMap and Secret, and of the ConfigMap with the peers. */
  readonly settings: pulumi.Input<string>;
  readonly identity: pulumi.Input<string>;
  readonly peers: pulumi.Input<string>;
  readonly selector: Record<string, string>;
}

const mebi = 2 ** 20;
const defaults = {
  ceramic: { cpu: 0.2, memory: 512 * mebi },
  ipfs: { cpu: 0.1, memory: 256 * mebi },
  postgres: { cpu: 0.1, memory: 256 * mebi },
} as const;
/** User of the postgres image. */
const postgresUser = 70;

/** A peer's pod: prepared by an init container, kubo beside js-ceramic and up before it. */
export function peerPod(plan: GroupPlan, parts: PodParts): k8s.types.input.core.v1.PodSpec {
  const { group } = plan;
  const { nodeSelectorTerms } = parts.network;
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    shareProcessNamespace: true, // lets a fault end the peer by SIGKILL, which a first process is immune to
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: 5,
    ...(nodeSelectorTerms.length === 0
      ? {}
      : { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } }),
    topologySpreadConstraints: spreadOverNodes(parts.selector),
    initContainers: [
      prepareContainer(plan, parts),
      ...migration(plan, parts),
      ipfsContainer(plan, parts),
      ...(group.index === "postgres" ? [postgresContainer(plan, parts)] : []),
    ],
    containers: [ceramicContainer(plan, parts)],
    volumes: [
      { name: "config", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } }, // holds the peer's private keys
      { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
      ...(group.index === "postgres" ? [{ name: "postgres-run", emptyDir: { sizeLimit: "1Mi" } }] : []),
      { name: "settings", configMap: { name: parts.settings } },
      { name: "peers", configMap: { name: parts.peers } },
      { name: "identity", secret: { secretName: parts.identity, defaultMode: 0o440 } },
    ],
  };
}

function prepareContainer(plan: GroupPlan, parts: PodParts): Container {
  const { network, bootstrap } = parts;
  return {
    name: "prepare",
    image: parts.images("ceramic"),
    imagePullPolicy: "IfNotPresent",
    command: ["/usr/local/bin/node", "prepare.ts"],
    env: [
      podNameVariable("POD_NAME"),
      { name: "CERAMIC_GROUP", value: plan.name },
      { name: "CERAMIC_IPFS_KIND", value: plan.group.ipfs.kind },
      { name: "CERAMIC_PEERING", value: peeringOf(network, bootstrap) },
      ...bootstrapVariables(bootstrap),
    ],
    resources: resources({}, defaults.ipfs, network.devMode),
    securityContext: restrictedContainer,
    volumeMounts: [
      { name: "config", mountPath: paths.config },
      { name: "settings", mountPath: "/etc/orrery/group", readOnly: true },
      { name: "peers", mountPath: "/etc/orrery/peers", readOnly: true },
      { name: "identity", mountPath: "/run/orrery/identity", readOnly: true },
      { name: "ipfs-data", mountPath: paths.ipfs },
    ],
  };
}

/** Whom kubo keeps connections to: nobody, everybody, or its share of the bootstrap's connections. */
function peeringOf(network: CeramicSection, bootstrap: CeramicPlan["bootstrap"]): string {
  if (bootstrap === undefined) return "none";
  return network.routing === "mesh" ? "all" : "bootstrap";
}

/** What the bootstrap program goes by, under Keramik's names. */
export function bootstrapVariables(bootstrap: CeramicPlan["bootstrap"]): { name: string; value: string }[] {
  if (bootstrap === undefined) return [];
  return [
    { name: "BOOTSTRAP_METHOD", value: bootstrap.method },
    { name: "BOOTSTRAP_N", value: String(bootstrap.n) },
    { name: "BOOTSTRAP_SEED", value: String(bootstrap.seed) },
  ];
}

const alive = { httpGet: { path: "/api/v0/node/healthcheck?checkIpfs=false", port: "api" } };

function ceramicContainer(plan: GroupPlan, { network, images, identity }: PodParts): Container {
  const { group } = plan;
  return {
    name: "ceramic",
    image: group.image ?? images("ceramic"),
    imagePullPolicy: group.imagePullPolicy,
    args: ["daemon", "--config", `${paths.config}/daemon.config.json`],
    env: [
      ...variables({ HOME: "/tmp", ...plan.environment }),
      ...(group.index === "postgres" ? [postgresPassword("PGPASSWORD", identity)] : []),
    ],
    ports: [
      { name: "api", containerPort: ports.api },
      { name: "metrics", containerPort: ports.metrics },
      ...(network.debugMode ? [{ name: "debug", containerPort: ports.debug }] : []),
    ],
    resources: resources(group.resources, defaults.ceramic, network.devMode),
    securityContext: restrictedContainer,
    readinessProbe: {
      httpGet: { path: "/api/v0/node/healthcheck", port: "api" },
      periodSeconds: 2,
      timeoutSeconds: 5,
    },
    startupProbe: { ...alive, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 150 }, // slow with little CPU
    livenessProbe: { ...alive, periodSeconds: 30, timeoutSeconds: 30 },
    volumeMounts: [
      { name: "config", mountPath: paths.config, readOnly: true },
      { name: "ceramic-data", mountPath: paths.ceramic },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}

/** Beside js-ceramic, started before it and ended after it. */
function ipfsContainer(plan: GroupPlan, { network, images }: PodParts): Container {
  const { ipfs } = plan.group;
  const kubo = ipfs.kind === "go";
  const predefined = kubo ? kuboVariables : rustVariables(network, ipfs.rustLog);
  return {
    name: "ipfs",
    restartPolicy: "Always",
    image: ipfs.image ?? images(kubo ? "kubo" : "ceramic-one"),
    imagePullPolicy: ipfs.imagePullPolicy,
    ...(kubo ? { command: kuboCommand } : {}),
    env: variables({ ...predefined, ...ipfs.env }),
    ports: [
      { name: "rpc", containerPort: ports.rpc },
      { name: "swarm", containerPort: ports.swarm },
      ...(kubo
        ? []
        : [
            { name: "flight", containerPort: ports.flight },
            { name: "ipfs-metrics", containerPort: ports.ipfsMetrics },
          ]),
    ],
    resources: resources(ipfs.resources, defaults.ipfs, network.devMode),
    securityContext: restrictedContainer,
    startupProbe: { tcpSocket: { port: "rpc" }, periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 120 },
    livenessProbe: { tcpSocket: { port: "rpc" }, periodSeconds: 30, timeoutSeconds: 30 }, // js-ceramic tells readiness
    volumeMounts: [
      ...(kubo ? [{ name: "config", mountPath: paths.config, readOnly: true }] : []),
      { name: "ipfs-data", mountPath: paths.ipfs },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}

const kuboCommand = [
  ...["ipfs", "daemon", "--init", `--init-config=${paths.config}/kubo.json`],
  ...["--migrate", "--enable-pubsub-experiment"],
];
const kuboVariables = { HOME: "/tmp", IPFS_PATH: paths.ipfs, IPFS_TELEMETRY: "off" };

function rustVariables(network: CeramicSection, rustLog: string): Record<string, string> {
  return {
    CERAMIC_ONE_BIND_ADDRESS: `0.0.0.0:${ports.rpc}`,
    CERAMIC_ONE_KADEMLIA_PARALLELISM: "1",
    CERAMIC_ONE_KADEMLIA_REPLICATION: "6",
    CERAMIC_ONE_LOCAL_NETWORK_ID: "0",
    CERAMIC_ONE_METRICS_BIND_ADDRESS: `0.0.0.0:${ports.ipfsMetrics}`,
    CERAMIC_ONE_NETWORK: network.networkType,
    CERAMIC_ONE_P2P_KEY_DIR: paths.ipfs,
    CERAMIC_ONE_STORE_DIR: paths.ipfs,
    CERAMIC_ONE_SWARM_ADDRESSES: `/ip4/0.0.0.0/tcp/${ports.swarm}`,
    RUST_LOG: rustLog,
  };
}

/** ceramic-one's migrations, where they are asked for. */
function migration(plan: GroupPlan, parts: PodParts): Container[] {
  const { ipfs } = plan.group;
  if (ipfs.kind !== "rust" || ipfs.migrationCommand.length === 0) return [];
  const {
    restartPolicy: _goesOn,
    startupProbe,
    readinessProbe,
    livenessProbe,
    ports: _,
    ...container
  } = ipfsContainer(plan, parts);
  return [
    { ...container, name: "ipfs-migration", command: ["ceramic-one", "migrations"], args: ipfs.migrationCommand },
  ];
}

const postgresPassword = (name: string, identity: pulumi.Input<string>) => ({
  name,
  valueFrom: { secretKeyRef: { name: identity, key: "postgres-password" } },
});

/** Beside js-ceramic as IPFS is. */
function postgresContainer(plan: GroupPlan, { network, images, identity }: PodParts): Container {
  return {
    name: "postgres",
    restartPolicy: "Always",
    image: images("postgres"),
    imagePullPolicy: "IfNotPresent",
    env: [
      ...variables({ PGDATA: "/var/lib/postgresql/data/ceramic", POSTGRES_DB: "ceramic", POSTGRES_USER: "ceramic" }),
      postgresPassword("POSTGRES_PASSWORD", identity),
    ],
    ports: [{ name: "postgres", containerPort: ports.postgres }],
    resources: resources(plan.group.postgres.resources, defaults.postgres, network.devMode),
    securityContext: { ...restrictedContainer, runAsUser: postgresUser, runAsGroup: postgresUser },
    startupProbe: {
      exec: { command: ["pg_isready", "--host=127.0.0.1"] },
      periodSeconds: 2,
      timeoutSeconds: 5,
      failureThreshold: 150,
    },
    volumeMounts: [
      { name: "postgres-data", mountPath: "/var/lib/postgresql/data" },
      { name: "postgres-run", mountPath: "/var/run/postgresql" },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}

/**
 * Requests and limits: what is written, else the defaults, which devMode leaves out; no more is requested by default
 * than a written limit allows. Cores and bytes.
 */
export function resources(
  written: CeramicResources,
  standard: { readonly cpu: number; readonly memory: number },
  devMode: boolean,
): k8s.types.input.core.v1.ResourceRequirements {
  const cpu = written.cpu ?? (devMode ? undefined : Math.min(standard.cpu, written.cpuLimit ?? standard.cpu));
  const memory = written.memory ?? (devMode ? undefined : standard.memory);
  const cpuLimit = written.cpuLimit ?? (cpu === undefined ? undefined : Math.max(1, cpu * 2));
  const disk = written.ephemeralStorage;
  const same = {
    ...(memory === undefined ? {} : { memory: formatBytes(memory) }),
    ...(disk === undefined ? {} : { "ephemeral-storage": formatBytes(disk) }),
  };
  return {
    requests: { ...(cpu === undefined ? {} : { cpu: formatCpu(cpu) }), ...same },
    limits: { ...(cpuLimit === undefined ? {} : { cpu: formatCpu(cpuLimit) }), ...same },
  };
}

/** Variables in the order of their names. */
const variables = (environment: Readonly<Record<string, string>>) =>
  Object.entries(environment)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, value }));
