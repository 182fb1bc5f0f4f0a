import type { TargetConnection } from "../components/cluster-target.ts";
import { namespaceOf } from "../components/simulation.ts";
import type { Check } from "../local/toolchain/doctor.ts";
import { EnvironmentError } from "../schema/errors.ts";
import type { Experiment } from "../schema/experiment.ts";
import { sampleGraph } from "../stacks/sample.ts";
import { capacityChecks } from "../targets/capacity.ts";
import { kubeConfigOf } from "../targets/kube-client.ts";
import { needsOf } from "../targets/needs.ts";
import { targetTraits } from "../targets/programs.ts";
import { roomOf } from "../targets/room.ts";

/** Whether an experiment, a run included, will fit into a cluster: what its graph asks for against what is left. */
export async function fitChecks(connection: TargetConnection, experiment: Experiment): Promise<Check[]> {
  const graph = await sampleGraph(experiment, { run: "sample", target: await targetTraits(connection.name) });
  return capacityChecks(needsOf(graph), await roomOf(kubeConfigOf(connection), namespaceOf(experiment.name)));
}

/**
 * Refuses a deployment that would not fit, before anything is changed.
 *
 * @throws EnvironmentError with everything that stands in the way
 */
export async function requireFit(connection: TargetConnection, experiment: Experiment): Promise<void> {
  const failed = (await fitChecks(connection, experiment)).filter((check) => check.status === "fail");
  if (failed.length === 0) return;
  const lines = failed.map((check) => `${check.name}: ${check.found}; needed: ${check.needed}. ${check.fix}`);
  throw new EnvironmentError(
    `${experiment.name} does not fit into the cluster of context "${connection.context}".`,
    lines.join("\n  "),
  );
}
