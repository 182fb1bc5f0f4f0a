import type * as k8s from "@pulumi/kubernetes";
import { formatBytes, formatCpu } from "../../schema/units.ts";

/** Numeric user and group of every container: no image needs a name for it, and `runAsNonRoot` can check it. */
export const userId = 65_532;

/** Pod settings the restricted Pod Security Standard asks for, and `fsGroup` so that volumes can be written. */
export const restrictedPod: k8s.types.input.core.v1.PodSecurityContext = {
  runAsNonRoot: true,
  runAsUser: userId,
  runAsGroup: userId,
  fsGroup: userId,
  fsGroupChangePolicy: "OnRootMismatch",
  seccompProfile: { type: "RuntimeDefault" },
};

/** Container settings the restricted Pod Security Standard asks for, with a read-only root file system. */
export const restrictedContainer: k8s.types.input.core.v1.SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

/** Requests, and limits that leave room for bursts of CPU but none of memory. Cores and bytes. */
export function resources(cpu: number, memory: number, cpuLimit: number = cpu * 2) {
  return {
    requests: { cpu: formatCpu(cpu), memory: formatBytes(memory) },
    limits: { cpu: formatCpu(cpuLimit), memory: formatBytes(memory) },
  };
}

/** Pods with these labels go to different nodes as far as there are any; where there are too few they share. */
export function spreadOverNodes(
  matchLabels: Readonly<Record<string, string>>,
): k8s.types.input.core.v1.TopologySpreadConstraint[] {
  return [
    {
      maxSkew: 1,
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels },
    },
  ];
}

/**
 * A volume that one node at a time may use.
 *
 * @param storage Its size, as a Kubernetes quantity.
 * @param storageClassName Absent means the cluster's default.
 */
export function claimSpec(
  storage: string,
  storageClassName: string | undefined,
): k8s.types.input.core.v1.PersistentVolumeClaimSpec {
  return {
    accessModes: ["ReadWriteOnce"],
    ...(storageClassName === undefined ? {} : { storageClassName }),
    resources: { requests: { storage } },
  };
}

/** Readiness asked every second, so that a deployment waits no longer than it must; liveness rarely and patiently. */
export const httpProbes = {
  readinessProbe: { httpGet: { path: "/readyz", port: "http" }, periodSeconds: 1, timeoutSeconds: 2 },
  livenessProbe: {
    httpGet: { path: "/healthz", port: "http" },
    initialDelaySeconds: 10,
    periodSeconds: 10,
    timeoutSeconds: 5,
  },
};

/** The pod's own name, for an environment variable. */
export const podNameVariable = (name: string) => ({ name, valueFrom: { fieldRef: { fieldPath: "metadata.name" } } });
/** The node the pod runs on, for an environment variable. */
export const nodeNameVariable = (name: string) => ({ name, valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } });
