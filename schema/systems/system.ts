import type { z } from "zod";
import type { Problem } from "../errors.ts";

/** What the experiment file needs to know of a system. One such definition per system, listed in `index.ts`. */
export interface SystemDefinition<
  Name extends string,
  Network extends z.ZodType<{ readonly system: Name }>,
  Parameters extends z.ZodType,
> {
  readonly system: Name;
  /** Roles members can hold, for fault targets. */
  readonly roles: readonly [string, ...string[]];
  /** Operations its connector offers. */
  readonly operations: readonly [string, ...string[]];
  /** Of these, the ones that change state: what failover and replication are about. */
  readonly writes: readonly string[];
  /** The `network` section. */
  readonly network: Network;
  /** The `workload.parameters` section. */
  readonly parameters: Parameters;
  /** Members that answer operations, which fault targets and replication count. */
  readonly members: (network: z.output<Network>) => number;
  /**
   * Names of the images its pods run, as images/table.ts has them; those the section replaces are left out.
   *
   * @param pulls Whether images of public registries may be among them.
   */
  readonly images: (network: z.output<Network>, pulls: boolean) => readonly string[];
  /**
   * What no single field shows to be wrong: impossible quorums, combinations that do not exist, operations that this
   * network cannot carry out.
   */
  readonly problems: (network: z.output<Network>, operations: readonly string[]) => readonly Problem[];
  /** How a member that was away comes by what it missed, where that is not a matter of course: for readers of a report. */
  readonly returning?: { readonly text: string; readonly fix: string };
  /** What is allowed but probably not meant. */
  readonly warnings: (network: z.output<Network>) => readonly Problem[];
}

export function defineSystem<
  const Name extends string,
  Network extends z.ZodType<{ readonly system: Name }>,
  Parameters extends z.ZodType,
>(definition: SystemDefinition<Name, Network, Parameters>): SystemDefinition<Name, Network, Parameters> {
  return definition;
}
