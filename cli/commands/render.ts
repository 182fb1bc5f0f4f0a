import { Command } from "commander";
import { manifests, renderExperiment } from "../plan.ts";
import { type CommonOptions, readExperiment, type Session } from "../session.ts";

/** `orrery render <experiment>`: the manifests, without a cluster. */
export function renderCommand(start: (options: CommonOptions) => Session): Command {
  return new Command("render")
    .description("print the Kubernetes manifests of an experiment, without a cluster; secret values are left out")
    .argument("<experiment>", "experiment file")
    .option("--json", "print the resources as JSON")
    .action(async (file: string, options: CommonOptions) => {
      const session = start(options);
      const { experiment } = await readExperiment(file, session);
      const resources = await renderExperiment(experiment);
      session.console.result(manifests(resources).trimEnd(), resources);
    });
}
