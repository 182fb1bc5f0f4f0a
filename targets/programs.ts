import { EnvironmentError } from "../schema/errors.ts";
import type { TargetProgram, TargetTraits } from "./module.ts";

/** The targets of the Pulumi program. Each is loaded when it is chosen, so that none slows the others' previews. */
const programs: Readonly<Record<string, () => Promise<TargetProgram>>> = {
  local: async () => (await import("../local/target.ts")).localProgram,
  minikube: async () => (await import("../minikube/target.ts")).minikubeProgram,
  kind: async () => (await import("../kind/target.ts")).kindProgram,
  eks: async () => (await import("../eks/target.ts")).eksProgram,
  context: async () => (await import("./context/target.ts")).contextProgram,
};

/**
 * The target of a name.
 *
 * @throws EnvironmentError when there is none
 */
export async function targetProgram(name: string): Promise<TargetProgram> {
  const load = Object.hasOwn(programs, name) ? programs[name] : undefined;
  if (load === undefined) {
    throw new EnvironmentError(
      `There is no cluster target "${name}".`,
      `Set orrery:target to one of ${Object.keys(programs).join(", ")}.`,
    );
  }
  return await load();
}

/** What is known of a target without a cluster, for graphs that are rendered only. */
export async function targetTraits(name: string): Promise<TargetTraits> {
  return (await targetProgram(name)).traits;
}
