import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterTarget } from "../components/cluster-target.ts";
import { Simulation } from "../components/simulation.ts";
import type { Experiment } from "../schema/experiment.ts";
import { type RenderedResource, render } from "./render.ts";

/** A target whose every answer is fixed, so that what is rendered on it can be recorded and compared. */
export function sampleTarget(overrides: Partial<ClusterTarget> = {}): ClusterTarget {
  return {
    name: "local",
    provider: new k8s.Provider("cluster", {}),
    exposure: "proxy",
    serviceCidr: "198.19.0.0/17",
    apiServerCidr: "198.19.128.0/30",
    images: (name) => `orrery.dev/${name}:0123456789ab`,
    arch: "amd64",
    capabilities: { enforcesNetworkPolicy: false, movableVolumes: false, pullsImages: false },
    ...overrides,
  };
}

/** Stands where a stack's root secret would; what is rendered with it is for reading, not for deploying. */
const sampleSecret = "5e".repeat(32);

/** Settings of {@link sampleGraph}. */
export interface SampleSettings {
  /** Id of a run to include. */
  readonly run?: string;
  readonly target?: Partial<ClusterTarget>;
  readonly rootSecret?: string;
}

/** Stands for what a Secret of the user's holds, as {@link sampleSecret} does for the stack's own. */
const found = (type: string): Record<string, unknown> =>
  type === "kubernetes:core/v1:Secret" ? { data: { sample: Buffer.from(sampleSecret).toString("base64") } } : {};

/** Every resource of an experiment on {@link sampleTarget}; nothing is contacted, and the same input gives the same. */
export async function sampleGraph(experiment: Experiment, settings: SampleSettings = {}): Promise<RenderedResource[]> {
  return await render(
    () => {
      new Simulation("simulation", {
        experiment,
        target: sampleTarget(settings.target),
        rootSecret: pulumi.secret(settings.rootSecret ?? sampleSecret),
        ...(settings.run === undefined ? {} : { run: settings.run }),
      });
    },
    undefined,
    found,
  );
}
