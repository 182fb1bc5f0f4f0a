import type { TargetConnection } from "../components/cluster-target.ts";
import { hasPages, imagesOf } from "../components/images.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { type PulumiEnvironment, pulumiEnvironment } from "../local/toolchain/pulumi.ts";
import { pulumiTools, resolveTools } from "../local/toolchain/toolchain.ts";
import { EnvironmentError, InputError, type Problem } from "../schema/errors.ts";
import type { Experiment } from "../schema/experiment.ts";
import type { ReadyCluster, TargetModule, TargetSettings } from "../targets/module.ts";
import { isTargetName, type TargetName, targetModule, targetNames } from "../targets/modules.ts";
import { targetPulls } from "../targets/pulling.ts";
import type { Console } from "./console.ts";

/** Options that say where to deploy. */
export interface TargetOptions {
  readonly target?: string;
  readonly context?: string;
  readonly image?: readonly string[];
  readonly targetOption?: readonly string[];
}

/** Stack configuration that leads the program to a cluster; undefined values are removed. */
export type TargetConfig = Readonly<Record<string, string | undefined>>;

/** A cluster that is there, with pulumi set up for it. */
export interface PreparedTarget extends ReadyCluster {
  readonly pulumi: PulumiEnvironment;
  readonly config: TargetConfig;
  readonly kubernetesPlugin: "official" | "orrery";
}

/** What to do while something is prepared. */
export interface Preparing {
  readonly console: Console;
  readonly signal: AbortSignal;
}

/** A target with the settings of the command line, as far as they parse. */
export interface ChosenTarget {
  readonly name: TargetName;
  readonly module: TargetModule;
  readonly settings: TargetSettings;
  readonly config: TargetConfig;
}

/** Name of the chosen target: `--context` means an existing context, else local. */
export function targetName(options: TargetOptions): TargetName {
  const name = options.target ?? (options.context === undefined ? "local" : "context");
  if (!isTargetName(name)) {
    throw new InputError([
      { path: "--target", rule: `there is no target "${name}".`, fix: `Use one of ${targetNames.join(", ")}.` },
    ]);
  }
  return name;
}

/**
 * The target of the command line with its settings.
 *
 * @throws InputError with everything that is wrong with them
 */
export async function chooseTarget(options: TargetOptions): Promise<ChosenTarget> {
  const { problems, ...chosen } = await readTarget(options);
  if (problems.length > 0) {
    throw new InputError(problems);
  }
  return chosen;
}

/** {@link chooseTarget} for commands that can do without a setting, e.g. `doctor`. */
export async function readTarget(
  options: TargetOptions,
): Promise<ChosenTarget & { readonly problems: readonly Problem[] }> {
  const name = targetName(options);
  const module = await targetModule(name);
  const images = readPairs("--image", "names no image.", "Write --image kv=<reference>.", options.image);
  const other = readPairs("--target-option", "sets nothing.", "Write <key>=<value>.", options.targetOption);
  const settings = module.complete({
    ...(options.context === undefined ? {} : { context: options.context }),
    images: images.values,
    options: other.values,
  });
  const problems = [...images.problems, ...other.problems, ...module.problems(settings)];
  return { name, module, settings, config: configOf(name, settings), problems };
}

/** Images and options stay as they are in the stack's configuration when the command line names none. */
function configOf(target: TargetName, { context, images, options }: TargetSettings): TargetConfig {
  return {
    target,
    context,
    ...(Object.keys(images).length > 0 ? { images: JSON.stringify(images) } : {}),
    ...(Object.keys(options).length > 0 ? { options: JSON.stringify(options) } : {}),
  };
}

function readPairs(
  path: string,
  rule: string,
  fix: string,
  given: readonly string[] = [],
): { readonly values: Record<string, string>; readonly problems: readonly Problem[] } {
  const values: Record<string, string> = {};
  const problems: Problem[] = [];
  for (const pair of given) {
    const [key = "", value = ""] = pair.split(/=(.*)/s);
    if (key === "" || value === "") {
      problems.push({ path, rule: `"${pair}" ${rule}`, fix });
    } else {
      values[key] = value;
    }
  }
  return { values, problems };
}

/** Brings up whatever the target needs so that `pulumi up` can start: tools, cluster, images. */
export async function prepareTarget(
  options: TargetOptions,
  experiment: Experiment,
  preparing: Preparing,
): Promise<PreparedTarget> {
  const { name, module, settings, config } = await chooseTarget(options);
  const { console, signal } = preparing;
  const ready = await module.prepare(
    settings,
    { experiment, images: imagesOf(experiment, targetPulls(name)), hasPages: hasPages(experiment) },
    { progress: console.progress, signal },
  );
  const pulumi = await preparePulumi(preparing);
  return { ...ready, pulumi, config, kubernetesPlugin: pulumi.kubernetesPlugin };
}

/**
 * The cluster a stack was deployed to, by the stack's configuration; nothing is started.
 *
 * @throws EnvironmentError when it does not run
 */
export async function existingConnection(config: TargetConfig): Promise<TargetConnection> {
  const { target = "local", context, options } = config;
  const module = await targetModule(targetName({ target }));
  const settings = { images: {}, options: options === undefined ? {} : JSON.parse(options) };
  const found = await module.find(module.complete({ ...settings, ...(context === undefined ? {} : { context }) }));
  if (found === undefined) {
    throw new EnvironmentError(`The cluster of target ${target} does not run.`, "`orrery up <experiment>` starts it.");
  }
  return found;
}

/** Finds or makes pulumi, without touching any cluster. */
export async function preparePulumi({ console, signal }: Preparing): Promise<PulumiEnvironment> {
  const home = OrreryHome.fromEnvironment();
  await home.prepare();
  await home.ensurePassphrase();
  const tools = await resolveTools(home, pulumiTools, { progress: console.progress, signal });
  return await pulumiEnvironment(home, tools);
}
