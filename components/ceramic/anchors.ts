import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { hasOwnAnchors } from "../../schema/systems/ceramic.ts";
import { formatBytes } from "../../schema/units.ts";
import { groupKey } from "../kubernetes/identity.ts";
import { labelsOf } from "../kubernetes/labels.ts";
import { allow, pods, tcp, toDns } from "../kubernetes/network-policy.ts";
import { claimSpec, resources, restrictedContainer, restrictedPod } from "../kubernetes/pod.ts";
import { anchorSelector } from "./policies.ts";
import type { Scope } from "./scope.ts";
import { anchorService } from "./settings.ts";

/** Name of ganache's chain and network; the one js-ceramic knows for networks of one's own. */
const chainId = "1337";
const mebi = 2 ** 20;

/** One program of the anchor service's: a pod with a volume and a Service of its own name. */
interface AnchorPart {
  readonly name: string;
  readonly image: string;
  readonly port: number;
  readonly probe: k8s.types.input.core.v1.Probe;
  readonly args: readonly string[];
  readonly env: k8s.types.input.core.v1.EnvVar[];
  readonly dataPath: string;
  readonly memory: number;
  readonly callers: readonly Record<string, string>[];
  readonly egress: Parameters<typeof allow>[1]["egress"];
  readonly after: readonly pulumi.Resource[];
}

/**
 * The anchor service and the chain of a local network; empty where it has none of its own.
 *
 * @returns to be waited for: peers end at once when they do not find them
 */
export function createAnchors(scope: Scope): pulumi.Resource[] {
  const { name, args, labels, selector, parent } = scope;
  const { experiment, namespace } = args;
  const { network } = experiment;
  if (!hasOwnAnchors(network)) return [];
  const { cas, casPort, chain, chainPort } = anchorService;
  const wallet = new k8s.core.v1.Secret(
    `${name}-wallet`,
    {
      metadata: { name: "ganache-wallet", namespace: namespace.created, labels },
      stringData: { seed: pulumi.secret(args.rootSecret.apply((root) => groupKey(root, "ceramic", "wallet"))) },
    },
    { parent },
  );
  const chainSet = createPart(scope, {
    name: chain,
    image: "ganache",
    port: chainPort,
    probe: { tcpSocket: { port: "http" } },
    args: [
      ...["--server.host", "0.0.0.0", "--server.port", String(chainPort)],
      ...["--chain.chainId", chainId, "--chain.networkId", chainId, "--database.dbPath", "/data/chain"],
      ...["--wallet.seed", "$(WALLET_SEED)", "--wallet.totalAccounts", "1"],
    ],
    env: [{ name: "WALLET_SEED", valueFrom: { secretKeyRef: { name: wallet.metadata.name, key: "seed" } } }],
    dataPath: "/data",
    memory: 384 * mebi,
    callers: [selector, anchorSelector(experiment.name, cas)],
    egress: [],
    after: [],
  });
  const casSet = createPart(scope, {
    name: cas,
    image: "cas",
    port: casPort,
    probe: { httpGet: { path: "/api/v0/healthcheck", port: "http" } },
    args: [],
    env: [
      { name: "CAS_BATCH_LINGER_MS", value: String(network.cas.batchLinger * 1_000) },
      { name: "CAS_DATA_DIR", value: "/data" },
      { name: "CAS_PORT", value: String(casPort) },
      { name: "ETH_RPC_URL", value: network.ethRpcUrl ?? `http://${chain}:${chainPort}` },
    ],
    dataPath: "/data",
    memory: 192 * mebi,
    callers: [selector],
    egress: [toDns, { to: [pods(anchorSelector(experiment.name, chain))], ports: tcp(chainPort) }],
    after: [chainSet],
  });
  return [chainSet, casSet];
}

function createPart({ name, args, parent }: Scope, part: AnchorPart): k8s.apps.v1.StatefulSet {
  const { experiment, namespace, target } = args;
  const selector = anchorSelector(experiment.name, part.name);
  const labels = labelsOf({ instance: experiment.name, name: part.name, component: "network" });
  const metadata = { name: part.name, namespace: namespace.created, labels };
  const ingress = [
    { from: part.callers.map(pods), ports: tcp(part.port) },
    { from: [{ ipBlock: { cidr: target.apiServerCidr } }], ports: tcp(part.port) }, // probes
  ];
  const policy = { namespace: namespace.created, labels, selector, ingress, egress: part.egress };
  allow(`${name}-${part.name}-traffic`, policy, { parent });
  const service = new k8s.core.v1.Service(
    `${name}-${part.name}-service`,
    {
      metadata: { ...metadata, annotations: { "pulumi.com/skipAwait": "true" } }, // the StatefulSet is awaited
      spec: { selector, ports: [{ name: "http", port: part.port }] },
    },
    { parent },
  );
  const { storageClass } = target;
  return new k8s.apps.v1.StatefulSet(
    `${name}-${part.name}`,
    {
      metadata,
      spec: {
        serviceName: service.metadata.name,
        replicas: 1,
        persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" },
        selector: { matchLabels: selector },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            securityContext: restrictedPod,
            terminationGracePeriodSeconds: 5,
            containers: [anchorContainer(args.target.images(part.image), part)],
            volumes: [{ name: "tmp", emptyDir: { sizeLimit: "64Mi" } }],
          },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: "data" },
            spec: claimSpec(formatBytes(1024 * mebi), storageClass),
          },
        ],
      },
    },
    { parent, dependsOn: [...part.after] },
  );
}

function anchorContainer(image: pulumi.Input<string>, part: AnchorPart): k8s.types.input.core.v1.Container {
  return {
    name: part.name,
    image,
    imagePullPolicy: "IfNotPresent",
    ...(part.args.length === 0 ? {} : { args: [...part.args] }),
    env: part.env,
    ports: [{ name: "http", containerPort: part.port }],
    resources: resources(0.1, part.memory, 1),
    securityContext: restrictedContainer,
    readinessProbe: { ...part.probe, periodSeconds: 2, timeoutSeconds: 5 },
    livenessProbe: { ...part.probe, initialDelaySeconds: 60, periodSeconds: 30, timeoutSeconds: 30 },
    volumeMounts: [
      { name: "data", mountPath: part.dataPath },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}
