import * as pulumi from "@pulumi/pulumi";
import type { Experiment } from "../schema/experiment.ts";
import type { Endpoint } from "../schema/run.ts";
import type { ClusterTarget } from "./cluster-target.ts";
import { labelsOf } from "./kubernetes/labels.ts";
import { restrictedNamespace } from "./kubernetes/namespace.ts";
import { denyAll } from "./kubernetes/network-policy.ts";
import { Observability } from "./observability/observability.ts";
import { createNetwork } from "./systems.ts";
import { Conductor, conductorName, conductorPort, conductorSelector, driverSelector } from "./workload/conductor.ts";
import { WorkloadRun } from "./workload/run.ts";

export interface SimulationArgs {
  readonly experiment: Experiment;
  readonly target: ClusterTarget;
  /** One random secret per stack, 32 bytes in hex; every key is derived from it. */
  readonly rootSecret: pulumi.Output<string>;
  /** Id of the run to carry out; absent means network and platform only. */
  readonly run?: string;
}

/** Namespace of an experiment. */
export const namespaceOf = (experiment: string): string => `orrery-${experiment}`;

/**
 * An experiment on a cluster: its namespace, network and conductor, and one run of its workload when a run is named.
 *
 * It creates: a Namespace under the restricted Pod Security Standard in which nothing may talk unless a policy says
 * so, the network of the experiment's system, a {@link Conductor}, what watches ({@link Observability}) and, per run, a
 * {@link WorkloadRun}.
 *
 * ```ts
 * new Simulation("simulation", {experiment, target, rootSecret, run: "20261121-101500"});
 * ```
 */
export class Simulation extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;
  /** Where the conductor answers, through the API server's service proxy. */
  readonly conductor: { readonly service: string; readonly port: number };
  readonly endpoints: pulumi.Output<readonly string[]>;
  /** The members behind them, with all that is publicly known of each. */
  readonly members: pulumi.Output<readonly Endpoint[]>;

  constructor(name: string, args: SimulationArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:components:Simulation", name, {}, { ...opts, provider: args.target.provider });
    const { experiment, target, rootSecret } = args;
    const labels = labelsOf({ instance: experiment.name, name: experiment.name, component: "simulation" });
    const namespace = restrictedNamespace(`${name}-namespace`, namespaceOf(experiment.name), labels, { parent: this });
    const inside = { parent: this, deletedWith: namespace.resource }; // the namespace takes everything in it along
    denyAll(`${name}-deny-all`, { namespace: namespace.created, labels }, inside);

    const conductor = new Conductor(
      "conductor",
      { experiment: experiment.name, namespace, target, rootSecret },
      inside,
    );
    const { observe } = experiment;
    const watching = new Observability(
      "observability",
      { experiment: experiment.name, observe, namespace, target },
      { parent: this }, // not all of it is in the namespace
    );
    const { telemetry } = watching;
    const callers = [driverSelector(experiment.name), conductorSelector(experiment.name)];
    const network = createNetwork("network", { experiment, target, namespace, rootSecret, callers, telemetry }, inside);
    conductor.reach(network);
    watching.scrape(network, conductor);
    if (args.run !== undefined) {
      new WorkloadRun("run", { experiment, run: args.run, namespace, target, network, conductor, watching }, inside);
    }

    this.namespace = namespace.created;
    this.conductor = { service: conductorName, port: conductorPort };
    this.members = network.endpoints;
    this.endpoints = network.endpoints.apply((members) => members.map((member) => member.url));
    this.registerOutputs({ namespace: this.namespace, endpoints: this.endpoints });
  }
}
