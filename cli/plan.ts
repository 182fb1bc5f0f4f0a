import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import { Simulation } from "../components/simulation.ts";
import type { Experiment } from "../schema/experiment.ts";
import { type RenderedResource, render } from "../stacks/render.ts";

/** Stands where the stack's root secret would; what is rendered with it is for reading, not for deploying. */
const sampleSecret = "0".repeat(64);
const sampleImage = (name: string) => `orrery.dev/${name}`;

/** Every resource an experiment would make on the local target, with a run, without contacting anything. */
export async function renderExperiment(experiment: Experiment, run = "sample"): Promise<RenderedResource[]> {
  return await render(() => {
    new Simulation("simulation", {
      experiment,
      run,
      rootSecret: pulumi.secret(sampleSecret),
      target: {
        name: "local",
        provider: new k8s.Provider("cluster", {}),
        exposure: "proxy",
        serviceCidr: "198.19.0.0/17",
        apiServerCidr: "198.19.128.0/17",
        images: sampleImage,
        arch: process.arch === "arm64" ? "arm64" : "amd64",
        capabilities: { enforcesNetworkPolicy: false, movableVolumes: false },
      },
    });
  });
}

/** The resources as an indented tree by component. */
export function planText(resources: readonly RenderedResource[]): string {
  const lines = resources
    .filter((resource) => !resource.type.startsWith("pulumi:providers:"))
    .map((resource) =>
      resource.custom
        ? `    + ${shortType(resource.type)}  ${objectName(resource)}`
        : `  ${resource.name}  ${resource.type}`,
    );
  const objects = resources.filter((resource) => resource.type.startsWith("kubernetes:")).length;
  return [...lines, `  ${objects} Kubernetes objects`].join("\n");
}

/** Kubernetes manifests of the plan, as a YAML stream; secret values are left out. */
export function manifests(resources: readonly RenderedResource[]): string {
  return resources
    .filter((resource) => resource.type.startsWith("kubernetes:"))
    .map((resource) => stringify(withoutSecrets(resource), { sortMapEntries: true }))
    .join("---\n");
}

function withoutSecrets({ inputs, secrets }: RenderedResource): unknown {
  const copy = structuredClone(inputs) as Record<string, unknown>;
  for (const path of secrets) {
    const data = copy[path];
    if (typeof data === "object" && data !== null) {
      copy[path] = Object.fromEntries(Object.keys(data).map((key) => [key, "(secret)"]));
    }
  }
  return copy;
}

const shortType = (type: string) => type.replace(/^kubernetes:/, "").replace(":", " ");

function objectName({ inputs, name }: RenderedResource): string {
  const metadata = inputs.metadata;
  return typeof metadata === "object" && metadata !== null && "name" in metadata ? String(metadata.name) : name;
}
