import type * as k8s from "@pulumi/kubernetes";

/** A place to deploy: what components must know of a cluster, so that none has to ask which one it is. */
export interface ClusterTarget {
  /** `local`, `minikube`, `kind`, `eks`, or `context` for any other kubeconfig context. */
  readonly name: string;
  readonly provider: k8s.Provider;
  /** How a Service is reached from outside: the API server's proxy always works, the rest is the target's. */
  readonly exposure: "proxy" | "node-port" | "load-balancer";
  /** IngressClass for web apps; absent where no controller serves Ingress objects. */
  readonly ingressClass?: string;
  /** StorageClass of volumes; absent means the cluster's default. */
  readonly storageClass?: string;
  /** Addresses of Services, for NetworkPolicies. */
  readonly serviceCidr: string;
  /** Addresses the API server's requests to pods and the pods' requests to it use, for NetworkPolicies. */
  readonly apiServerCidr: string;
  /** The image reference the cluster can run for a name of images/table.ts. */
  readonly images: (name: string) => string;
  /** CPU architecture of the nodes, as Kubernetes writes it. */
  readonly arch: "amd64" | "arm64";
  readonly capabilities: TargetCapabilities;
}

export interface TargetCapabilities {
  /** NetworkPolicies are obeyed, not only stored. */
  readonly enforcesNetworkPolicy: boolean;
  /** Volumes follow a pod to another node. */
  readonly movableVolumes: boolean;
  /** Pods may run images of public registries; where not, programs stand in for those that are in no package registry. */
  readonly pullsImages: boolean;
}

/** What a target is before Pulumi runs: known to the command line and written into the stack's configuration. */
export interface TargetConnection {
  readonly name: string;
  /** Path of the kubeconfig file. */
  readonly kubeconfig: string;
  readonly context: string;
}
