import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterTarget } from "../../components/cluster-target.ts";
import { Simulation } from "../../components/simulation.ts";
import type { Experiment } from "../../schema/experiment.ts";
import { type RenderedResource, render } from "../../stacks/render.ts";

/** A target whose every answer is fixed, so that what a component makes of it can be compared. */
export function fixedTarget(overrides: Partial<ClusterTarget> = {}): ClusterTarget {
  return {
    name: "local",
    provider: new k8s.Provider("cluster", {}),
    exposure: "proxy",
    serviceCidr: "198.19.0.0/17",
    apiServerCidr: "198.19.128.0/30",
    images: (name) => `orrery.dev/${name}:0123456789ab`,
    arch: "amd64",
    capabilities: { enforcesNetworkPolicy: false, movableVolumes: false },
    ...overrides,
  };
}

/** Every resource of an experiment on {@link fixedTarget}, with a fixed root secret. */
export async function graphOf(
  experiment: Experiment,
  options: { readonly run?: string; readonly target?: Partial<ClusterTarget>; readonly rootSecret?: string } = {},
): Promise<RenderedResource[]> {
  return await render(() => {
    new Simulation("simulation", {
      experiment,
      target: fixedTarget(options.target),
      rootSecret: pulumi.secret(options.rootSecret ?? "5e".repeat(32)),
      ...(options.run === undefined ? {} : { run: options.run }),
    });
  });
}

/** The Kubernetes objects of a graph, keyed `Kind name`. */
export function objectsOf(graph: readonly RenderedResource[]): Map<string, Record<string, unknown>> {
  const objects = graph.filter((resource) => resource.type.startsWith("kubernetes:"));
  return new Map(
    objects.map(({ inputs }) => {
      const metadata = inputs.metadata as { readonly name?: string } | undefined;
      return [`${String(inputs.kind)} ${metadata?.name ?? "(auto-named)"}`, { ...inputs }];
    }),
  );
}
