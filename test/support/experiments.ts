import { resolve } from "node:path";
import type { ExperimentOf } from "../../schema/experiment.ts";
import { loadExperiment } from "../../schema/load.ts";
import type { SystemName } from "../../schema/systems/index.ts";

/** An experiment of examples/, known to be of a system. */
export async function loadExample<Name extends SystemName>(system: Name, file: string): Promise<ExperimentOf<Name>> {
  const { experiment } = await loadExperiment(resolve("examples", file));
  if (experiment.network.system !== system) {
    throw new Error(`examples/${file} is of ${experiment.network.system}, not of ${system}`);
  }
  return experiment as ExperimentOf<Name>;
}
