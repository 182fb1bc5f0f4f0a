import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

type Rule = k8s.types.input.networking.v1.NetworkPolicyIngressRule;
type EgressRule = k8s.types.input.networking.v1.NetworkPolicyEgressRule;

export interface PodTraffic {
  readonly namespace: pulumi.Input<string>;
  readonly labels: Record<string, string>;
  /** Pods the policy is for. */
  readonly selector: Record<string, string>;
  readonly ingress: readonly Rule[];
  readonly egress: readonly EgressRule[];
}

/** Name lookups, wherever the cluster's DNS runs: as pods, or on the node. */
export const toDns: EgressRule = {
  ports: [
    { protocol: "UDP", port: 53 },
    { protocol: "TCP", port: 53 },
  ],
};

/** Peers by label in the same namespace. */
export const pods = (selector: Record<string, string>) => ({ podSelector: { matchLabels: selector } });

/** Addresses, such as the API server's. */
export const addresses = (cidr: string) => ({ ipBlock: { cidr } });

/** TCP ports of a rule. */
export const tcp = (...ports: readonly number[]) => ports.map((port) => ({ protocol: "TCP", port }));

/** Nothing in, nothing out, for every pod of the namespace that no other policy allows something. */
export function denyAll(
  name: string,
  args: Pick<PodTraffic, "namespace" | "labels">,
  opts: pulumi.CustomResourceOptions,
): k8s.networking.v1.NetworkPolicy {
  return new k8s.networking.v1.NetworkPolicy(
    name,
    {
      metadata: { namespace: args.namespace, labels: args.labels },
      spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
    },
    opts,
  );
}

/** Exactly the traffic named, for the pods selected. */
export function allow(
  name: string,
  traffic: PodTraffic,
  opts: pulumi.CustomResourceOptions,
): k8s.networking.v1.NetworkPolicy {
  return new k8s.networking.v1.NetworkPolicy(
    name,
    {
      metadata: { namespace: traffic.namespace, labels: traffic.labels },
      spec: {
        podSelector: { matchLabels: traffic.selector },
        policyTypes: ["Ingress", "Egress"],
        ingress: [...traffic.ingress],
        egress: [...traffic.egress],
      },
    },
    opts,
  );
}
