import type * as pulumi from "@pulumi/pulumi";
import type { ExperimentOf } from "../schema/experiment.ts";
import type { SystemName } from "../schema/systems/index.ts";
import { CeramicNetwork } from "./ceramic/ceramic.ts";
import type { ClusterTarget } from "./cluster-target.ts";
import type { NamespaceHandle } from "./kubernetes/namespace.ts";
import { KvNetwork } from "./kv/kv.ts";
import type { NetworkHandle } from "./network-handle.ts";
import { QuorumNetwork } from "./quorum/quorum.ts";
import type { TelemetryHandle } from "./telemetry.ts";

/** What every network component is given. */
export interface NetworkArgs<Name extends SystemName = SystemName> {
  readonly experiment: ExperimentOf<Name>;
  readonly target: ClusterTarget;
  readonly namespace: NamespaceHandle;
  readonly rootSecret: pulumi.Output<string>;
  readonly callers: readonly Record<string, string>[];
  /** Where members send telemetry; absent when nothing collects it. */
  readonly telemetry: TelemetryHandle | undefined;
}

type CreateNetwork<Name extends SystemName> = (
  name: string,
  args: NetworkArgs<Name>,
  opts: pulumi.ComponentResourceOptions,
) => NetworkHandle;

/** The component of each system. Adding a system is a line here and a line in schema/systems/index.ts. */
const networks: { readonly [Name in SystemName]: CreateNetwork<Name> } = {
  ceramic: (name, args, opts) => new CeramicNetwork(name, args, opts).handle,
  kv: (name, { experiment, ...args }, opts) =>
    new KvNetwork(name, { ...args, experiment: experiment.name, network: experiment.network }, opts).handle,
  quorum: (name, { experiment, ...args }, opts) => {
    const { name: instance, network, seed } = experiment;
    return new QuorumNetwork(name, { ...args, experiment: instance, network, seed }, opts).handle;
  },
};

/** Builds the network of whatever system the experiment describes. */
export const createNetwork: CreateNetwork<SystemName> = (name, args, opts) =>
  (networks[args.experiment.network.system] as CreateNetwork<SystemName>)(name, args, opts);
