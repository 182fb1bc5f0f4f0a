import type * as pulumi from "@pulumi/pulumi";
import type { ExperimentOf } from "../../schema/experiment.ts";
import type { ClusterTarget } from "../cluster-target.ts";
import type { NamespaceHandle } from "../kubernetes/namespace.ts";
import type { CeramicPlan } from "./plan.ts";

export interface CeramicNetworkArgs {
  readonly experiment: ExperimentOf<"ceramic">;
  readonly target: ClusterTarget;
  readonly namespace: NamespaceHandle;
  /** The stack's root secret, 32 bytes in hex. */
  readonly rootSecret: pulumi.Output<string>;
  /** Labels of the pods that may send operations: drivers and the conductor. */
  readonly callers: readonly Record<string, string>[];
}

/** What the parts of a Ceramic network are made with. */
export interface Scope {
  readonly name: string;
  readonly args: CeramicNetworkArgs;
  readonly plan: CeramicPlan;
  readonly labels: Record<string, string>;
  /** Labels of all peers. */
  readonly selector: Record<string, string>;
  readonly parent: pulumi.Resource;
}
