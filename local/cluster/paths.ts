import { join } from "node:path";
import type { OrreryHome } from "../toolchain/home.ts";
import { clusterId } from "./addresses.ts";

/** Name of the cluster when none is given. */
export const defaultClusterName = "local";

/** Every path of one cluster on the host; all lie in `folder`. */
export interface ClusterPaths {
  readonly name: string;
  readonly id: string;
  readonly folder: string;
  readonly state: string;
  readonly kubeconfig: string;
  readonly lock: string;
  readonly bootScript: string;
  readonly bootLog: string;
  /** Scan folder of the supervisor. */
  readonly services: string;
  readonly logs: string;
  readonly config: string;
  /** KWOK_WORKDIR. */
  readonly kwok: string;
  readonly kwokCluster: string;
  /** What the cluster keeps: each is mounted at a fixed place inside. */
  readonly data: string;
  readonly volumes: string;
  readonly temporary: string;
}

/** Where things are inside the cluster's mount namespace: short, fixed, and the same for every cluster. */
export const inside = {
  run: "/run",
  keep: "/run/orrery/keep",
  containerdSocket: "/run/containerd/containerd.sock",
  containerdRoot: "/var/lib/containerd",
  kubeletRoot: "/var/lib/kubelet",
  podLogs: "/var/log/pods",
  volumes: "/var/lib/orrery/volumes",
  etcd: "/var/lib/etcd",
  certificates: "/var/lib/orrery/certificates",
  cniState: "/run/cni",
} as const;

/** The paths of cluster `name` of `home`; nothing is made. */
export function clusterPaths(
  home: Pick<OrreryHome, "clusters" | "locks">,
  name: string = defaultClusterName,
): ClusterPaths {
  const folder = join(home.clusters, name);
  const id = clusterId(folder);
  return {
    name,
    id,
    folder,
    state: join(folder, "cluster.json"),
    kubeconfig: join(folder, "kubeconfig"),
    lock: join(home.locks, `cluster-${id}`),
    bootScript: join(folder, "boot.sh"),
    bootLog: join(folder, "logs", "boot.log"),
    services: join(folder, "services"),
    logs: join(folder, "logs"),
    config: join(folder, "config"),
    kwok: join(folder, "kwok"),
    kwokCluster: join(folder, "kwok", "clusters", name),
    data: join(folder, "data"),
    volumes: join(folder, "data", "volumes"),
    temporary: join(folder, "tmp"),
  };
}
