import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Command, Option } from "commander";
import { InputError } from "../../schema/errors.ts";
import type { Experiment } from "../../schema/experiment.ts";
import { kustomization, manifests, operatorStack } from "../../stacks/manifests.ts";
import type { RenderedResource } from "../../stacks/render.ts";
import { sampleGraph } from "../../stacks/sample.ts";
import { targetNames } from "../../targets/modules.ts";
import { targetTraits } from "../../targets/programs.ts";
import { stackName } from "../open-stack.ts";
import { type CommonOptions, readExperiment, type Session } from "../session.ts";
import { projectPath } from "../stack.ts";
import { targetName } from "../targets.ts";

const formats = ["yaml", "kustomize", "pulumi-operator"] as const;

interface RenderOptions extends CommonOptions {
  readonly as: (typeof formats)[number];
  readonly output?: string;
  readonly repository?: string;
  readonly branch: string;
  readonly namespace: string;
}

/** `orrery render <experiment>`: the manifests, without a cluster, for people and for those who reconcile in-cluster. */
export function renderCommand(start: (options: RenderOptions) => Session): Command {
  return new Command("render")
    .description("write the Kubernetes manifests of an experiment, without a cluster; secret values are left out")
    .argument("<experiment>", "experiment file")
    .addOption(new Option("-a, --as <format>", "what to write").choices(formats).default("yaml"))
    .option("-o, --output <folder>", "folder to write kustomize files into")
    .option("--repository <url>", "pulumi-operator: Git repository that holds this project")
    .option("--branch <name>", "pulumi-operator: branch to follow", "main")
    .option("--namespace <name>", "pulumi-operator: namespace of the Stack", "pulumi-kubernetes-operator")
    .option("-t, --target <name>", `cluster target: ${targetNames.join(", ")}`, "local")
    .option("--json", "print the resources as JSON")
    .action(async (file: string, options: RenderOptions) => {
      const session = start(options);
      const loaded = await readExperiment(file, session);
      switch (options.as) {
        case "yaml": {
          const resources = await graphOf(loaded.experiment, options);
          return session.console.result(manifests(resources).trimEnd(), resources);
        }
        case "kustomize":
          return await writeKustomization(loaded.experiment, options, session);
        case "pulumi-operator": {
          const stack = operatorStack({
            stack: stackName(loaded, options),
            repository: required(options.repository, "--repository", "Name the repository the operator clones."),
            branch: options.branch,
            namespace: options.namespace,
            config: { experiment: projectPath(file), target: options.target ?? "local" },
          });
          return session.console.result(stack.trimEnd(), { manifests: stack });
        }
      }
    });
}

async function graphOf(experiment: Experiment, options: RenderOptions): Promise<RenderedResource[]> {
  return await sampleGraph(experiment, { run: "sample", target: await targetTraits(targetName(options)) });
}

async function writeKustomization(experiment: Experiment, options: RenderOptions, session: Session): Promise<void> {
  const output = resolve(required(options.output, "--output", "Name the folder to write into."));
  const files = kustomization(await graphOf(experiment, options));
  for (const { path, text } of files) {
    await mkdir(dirname(join(output, path)), { recursive: true });
    await writeFile(join(output, path), text);
  }
  session.console.result(`${files.length} files are in ${output}; kubectl apply --kustomize ${output}`, {
    folder: output,
    files: files.map(({ path }) => path),
  });
}

function required(value: string | undefined, option: string, fix: string): string {
  if (value === undefined) {
    throw new InputError([{ path: option, rule: "is needed for this format.", fix }]);
  }
  return value;
}
