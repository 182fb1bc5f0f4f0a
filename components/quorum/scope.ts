import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { QuorumSection } from "../../schema/systems/quorum.ts";
import type { ClusterTarget } from "../cluster-target.ts";
import type { NamespaceHandle } from "../kubernetes/namespace.ts";
import { podNameVariable } from "../kubernetes/pod.ts";
import type { TelemetryHandle } from "../telemetry.ts";
import type { GroupKeys, QuorumPlan } from "./plan.ts";

export interface QuorumNetworkArgs {
  /** Experiment the network belongs to; its name is the instance label. */
  readonly experiment: string;
  readonly network: QuorumSection;
  /** The experiment's seed: where all keys come from if the network is deterministic. */
  readonly seed: number;
  readonly target: ClusterTarget;
  readonly namespace: NamespaceHandle;
  /** The stack's root secret, 32 bytes in hex. */
  readonly rootSecret: pulumi.Output<string>;
  /** Labels of the pods that may send operations: drivers and the conductor. */
  readonly callers: readonly Record<string, string>[];
  /** Where members send telemetry; geth sends none, it is only scraped. */
  readonly telemetry?: TelemetryHandle | undefined;
}

/** What every part of one network is made with. */
export interface Scope {
  readonly name: string;
  readonly args: QuorumNetworkArgs;
  readonly plan: QuorumPlan;
  /** Secret outputs. */
  readonly keys: { readonly [Group in keyof GroupKeys]: pulumi.Output<string> };
  /** Private-transaction managers are Tessera itself; else, where there are any, nodes/ptm in its place. */
  readonly tessera: boolean;
  readonly parent: pulumi.Resource;
}

/** A group's labels. */
export interface Group {
  readonly labels: Record<string, string>;
  readonly selector: Record<string, string>;
}

export const agentPath = "/opt/orrery";
export const dataPath = "/data";
export const networkPath = "/etc/orrery/network";
export const identityPath = "/run/orrery/identity";
export const runPath = "/run/orrery/node";

/** Copies the agent into the pod: the client's image need not have it. */
export function agentInstaller(
  { args }: Scope,
  securityContext: k8s.types.input.core.v1.SecurityContext,
): k8s.types.input.core.v1.Container {
  const small = { cpu: "10m", memory: "32Mi" };
  return {
    name: "agent",
    image: args.target.images("quorum-agent"),
    imagePullPolicy: "IfNotPresent",
    args: ["install", agentPath],
    resources: { requests: small, limits: { cpu: "500m", memory: "64Mi" } },
    securityContext,
    volumeMounts: [{ name: "agent", mountPath: agentPath }],
  };
}

/** Image of the client, with geth and bootnode on its PATH. */
export const clientImage = ({ args }: Scope): string => args.network.image ?? args.target.images(args.network.client);

/** Which node it is: the pod of a set of all nodes ends in its number, that of a set of its own does not. */
export const nameVariable = (name: string, ownSetOf: number | undefined): k8s.types.input.core.v1.EnvVar =>
  ownSetOf === undefined ? podNameVariable(name) : { name, value: `node-${ownSetOf}` };
