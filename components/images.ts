import type { Experiment } from "../schema/experiment.ts";
import { systemOf } from "../schema/systems/index.ts";

/** Whether an experiment has pages for people, which an Ingress leads to where the cluster has a class for it. */
export function hasPages(experiment: Experiment): boolean {
  return experiment.observe.ingress !== undefined || imagesOf(experiment, false).includes("racecourse");
}

/**
 * Names of the images the pods of an experiment run, as images/table.ts has them; no two are the same.
 *
 * @param pulls Whether the cluster runs images of public registries.
 */
export function imagesOf(experiment: Experiment, pulls: boolean): string[] {
  const { network, observe } = experiment;
  const observing = observe.prometheus || observe.traces !== undefined;
  return [
    ...systemOf(network).images(network, pulls),
    "driver",
    ...(observe.prometheus ? ["prometheus"] : []),
    ...(observing ? ["otel-collector"] : []),
    ...(observe.traces === undefined ? [] : ["jaeger"]),
    ...(observe.grafana ? ["grafana"] : []),
  ];
}
