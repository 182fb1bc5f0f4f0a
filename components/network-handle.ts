import type * as pulumi from "@pulumi/pulumi";
import type { Endpoint, PodCommand } from "../schema/run.ts";

/** What a network component gives to workload, faults and observability; they need nothing else. */
export interface NetworkHandle {
  readonly system: string;
  readonly namespace: pulumi.Output<string>;
  /** Members that answer operations, in ordinal order. */
  readonly endpoints: pulumi.Output<readonly Endpoint[]>;
  /** Labels that select the network's own pods. */
  readonly podSelector: Readonly<Record<string, string>>;
  /** How a member is made to crash inside its pod; without it a kill is the deletion of the pod. */
  readonly crash?: PodCommand;
  /** How its processes are stopped for a while, given the ms as a last argument; without it there are no pauses. */
  readonly pause?: PodCommand;
  /** Secret in the experiment's namespace with what drivers need to be let in or to sign; mounted into them. */
  readonly credentials?: pulumi.Output<string>;
  /** Port numbers drivers and the conductor connect to, for NetworkPolicies. */
  readonly servicePorts: readonly number[];
  /** Where metrics are read: label selector, port and path. */
  readonly scrapeTargets: readonly ScrapeTarget[];
  /** Resources to wait for: done means the network serves. */
  readonly ready: readonly pulumi.Resource[];
}

/**
 * Pods whose metrics are read. They are found by name: the Service answers with the address of each pod if it is
 * headless, and with its own if it is not, which then has to stand for one pod.
 */
export interface ScrapeTarget {
  /** Labels of the pods, for NetworkPolicies. */
  readonly selector: Readonly<Record<string, string>>;
  /** Service in the experiment's namespace, and the name of its port. */
  readonly service: string;
  readonly portName: string;
  readonly port: number;
  readonly path: string;
}
