import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { claimSpec } from "../kubernetes/pod.ts";
import type { QuorumMember } from "./plan.ts";
import type { Group, Scope } from "./scope.ts";

/** A node and the claim of its volume, by the seed document's name. */
export interface OwnClaim {
  readonly ordinal: number;
  readonly name: pulumi.Output<string>;
}

/** The claim of a node with a set of its own: on the cluster's storage, or on a volume of its own if the network has such. */
export function createClaim(scope: Scope, { labels }: Group, { ordinal }: QuorumMember): OwnClaim {
  const { name, args, plan, parent } = scope;
  const volume = createVolume(scope, labels, ordinal);
  const spec =
    volume === undefined
      ? claimSpec(plan.storage, args.target.storageClass)
      : { ...claimSpec(plan.storage, classOf(scope, ordinal)), volumeName: volume.metadata.name };
  const claim = new k8s.core.v1.PersistentVolumeClaim(
    `${name}-claim-${ordinal}`,
    { metadata: { name: `node-${ordinal + 1}-pv-claim`, namespace: args.namespace.created, labels }, spec },
    { parent },
  );
  return { ordinal, name: claim.metadata.name };
}

/** No StorageClass has this name: volume and claim find each other by it, as in the seed document. */
const classOf = ({ args }: Scope, ordinal: number): string => `${args.namespace.name}-node-${ordinal + 1}`;

/**
 * A folder of a Kubernetes node, which is there already and outlives the volume. Not `hostPath`, which the seed document
 * has: there a pod that is not root could not write, because the kubelet gives only `local` folders the pod's group.
 */
function createVolume(
  scope: Scope,
  labels: Group["labels"],
  ordinal: number,
): k8s.core.v1.PersistentVolume | undefined {
  const { name, args, plan, parent } = scope;
  const { volumes } = args.network;
  if (volumes === undefined) return undefined;
  const host = volumes.hosts[ordinal % volumes.hosts.length] ?? "";
  const onHost = { key: "kubernetes.io/hostname", operator: "In", values: [host] };
  return new k8s.core.v1.PersistentVolume(
    `${name}-volume-${ordinal}`,
    {
      metadata: { name: `${args.namespace.name}-qdata-${ordinal + 1}`, labels },
      spec: {
        capacity: { storage: plan.storage },
        accessModes: ["ReadWriteOnce"],
        persistentVolumeReclaimPolicy: "Retain",
        storageClassName: classOf(scope, ordinal),
        local: { path: `${volumes.path}/qdata_${ordinal + 1}` },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onHost] }] } },
      },
    },
    { parent },
  );
}
