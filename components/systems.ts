import type * as pulumi from "@pulumi/pulumi";
import type { Experiment } from "../schema/experiment.ts";
import type { ClusterTarget } from "./cluster-target.ts";
import type { NamespaceHandle } from "./kubernetes/namespace.ts";
import { KvNetwork } from "./kv/kv.ts";
import type { NetworkHandle } from "./network-handle.ts";
import type { TelemetryHandle } from "./telemetry.ts";

/** What every network component is given. */
export interface NetworkArgs {
  readonly experiment: Experiment;
  readonly target: ClusterTarget;
  readonly namespace: NamespaceHandle;
  readonly rootSecret: pulumi.Output<string>;
  readonly callers: readonly Record<string, string>[];
  /** Where members send telemetry; absent when nothing collects it. */
  readonly telemetry: TelemetryHandle | undefined;
}

type CreateNetwork = (name: string, args: NetworkArgs, opts: pulumi.ComponentResourceOptions) => NetworkHandle;

/** The component of each system. Adding a system is a line here and a line in schema/systems/index.ts. */
export const networks: Readonly<Record<Experiment["network"]["system"], CreateNetwork>> = {
  kv: (name, { experiment, ...args }, opts) =>
    new KvNetwork(name, { ...args, experiment: experiment.name, network: experiment.network }, opts).handle,
};
