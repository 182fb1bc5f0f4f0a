import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterTarget } from "../components/cluster-target.ts";
import { imagesOf } from "../components/images.ts";
import { isRootSecret } from "../components/kubernetes/identity.ts";
import { Simulation } from "../components/simulation.ts";
import { EnvironmentError, InputError } from "../schema/errors.ts";
import type { Experiment } from "../schema/experiment.ts";
import { loadExperiment } from "../schema/load.ts";
import { targetProgram } from "../targets/programs.ts";

/**
 * The Pulumi program: one experiment on one cluster target. Configuration, all below `orrery:`:
 * `experiment` (path of the file), `target` (a name of targets/programs.ts), `context`, `images` (name to
 * reference), `options` (of the target), `rootSecret` (secret, made by `orrery init`) and `run` (id of the run to carry out; absent: network only).
 */
const config = new pulumi.Config("orrery");
const project = fileURLToPath(new URL("..", import.meta.url)); // the engine starts programs in the folder of `main`

async function deploy(): Promise<Simulation> {
  const stack = pulumi.getStack();
  const file = config.get("experiment");
  const rootSecret = config.getSecret("rootSecret");
  if (file === undefined || rootSecret === undefined) {
    throw new EnvironmentError(
      `Stack ${stack} has no ${file === undefined ? "experiment" : "root secret"} in its configuration.`,
      "Make it with: npx orrery init <experiment file>",
    );
  }
  const { experiment, warnings } = await loadExperiment(resolve(project, file));
  for (const warning of warnings) {
    await pulumi.log.warn(`${warning.at} ${warning.path}: ${warning.rule} ${warning.fix ?? ""}`);
  }
  const checked = rootSecret.apply((secret) => {
    if (!isRootSecret(secret)) {
      throw new pulumi.RunError("orrery:rootSecret is not 32 bytes in hex; make the stack with `npx orrery init`");
    }
    return secret;
  });
  const run = config.get("run");
  return new Simulation("simulation", {
    experiment,
    target: await selectTarget(experiment),
    rootSecret: checked,
    ...(run === undefined ? {} : { run }),
  });
}

async function selectTarget(experiment: Experiment): Promise<ClusterTarget> {
  const program = await targetProgram(config.get("target") ?? "local");
  const context = config.get("context");
  const settings = {
    ...(context === undefined ? {} : { context }),
    images: config.getObject<Record<string, string>>("images") ?? {},
    options: config.getObject<Record<string, string>>("options") ?? {},
  };
  return await program.create(settings, imagesOf(experiment, program.traits.capabilities.pullsImages));
}

const simulation = await deploy().catch((error: unknown) => {
  throw error instanceof EnvironmentError || error instanceof InputError ? new pulumi.RunError(error.message) : error;
});

export const namespace = simulation.namespace;
export const endpoints = simulation.endpoints;
export const members = simulation.members;
export const conductor = simulation.conductor;
