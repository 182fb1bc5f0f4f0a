import type { KindOptions } from "./options.ts";

/** What the nodes of a cluster are made of. */
export interface NodeImage {
  readonly reference: string;
  /** Built here from distribution packages and Go modules, not kind's own; it wants some settings of the kubelet. */
  readonly isBuilt: boolean;
}

/**
 * A node image of ours leaves pods' cgroups to the kubelet, not to systemd, and runs where OOM scores cannot be
 * lowered. kind's own image needs none of this.
 */
const builtPatches = [
  "kind: KubeletConfiguration\ncgroupDriver: cgroupfs\nfailCgroupV1: false\noomScoreAdj: 0\n",
  "kind: KubeProxyConfiguration\noomScoreAdj: 0\n",
];

/** The cluster in kind's own words (`kind.x-k8s.io/v1alpha4`); JSON of it is YAML that kind reads. */
export function clusterConfig(options: KindOptions, image: NodeImage): object {
  const ports = [
    { containerPort: 80, hostPort: options.httpPort },
    { containerPort: 443, hostPort: options.httpsPort },
  ].filter((port) => port.hostPort !== undefined);
  const controlPlane = {
    role: "control-plane",
    image: image.reference,
    labels: { "ingress-ready": "true" },
    ...(ports.length === 0
      ? {}
      : { extraPortMappings: ports.map((port) => ({ ...port, listenAddress: "127.0.0.1", protocol: "TCP" })) }),
    ...(image.isBuilt ? { kubeadmConfigPatches: builtPatches } : {}),
  };
  const workers = Array.from({ length: options.nodes - 1 }, () => ({ role: "worker", image: image.reference }));
  return {
    kind: "Cluster",
    apiVersion: "kind.x-k8s.io/v1alpha4",
    name: options.cluster,
    featureGates: { MaxUnavailableStatefulSet: true },
    networking: { apiServerAddress: "127.0.0.1", podSubnet: "10.244.0.0/16", serviceSubnet: "10.96.0.0/16" },
    nodes: [controlPlane, ...workers],
  };
}
