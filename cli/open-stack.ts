import { OrreryHome } from "../local/toolchain/home.ts";
import { InputError } from "../schema/errors.ts";
import { type LoadedExperiment, loadExperiment } from "../schema/load.ts";
import { requireFit } from "./preflight.ts";
import type { Session } from "./session.ts";
import { ExperimentStack, projectPath } from "./stack.ts";
import {
  chooseTarget,
  type PreparedTarget,
  preparePulumi,
  prepareTarget,
  type TargetOptions,
  targetName,
} from "./targets.ts";

/** `<experiment>-<target>`. */
export function stackName(loaded: LoadedExperiment, options: TargetOptions): string {
  return `${loaded.experiment.name}-${targetName(options)}`;
}

/** Cluster, tools and stack, ready for `pulumi up`. */
export async function openStack(
  file: string,
  loaded: LoadedExperiment,
  options: TargetOptions,
  { console, signals }: Session,
): Promise<{ readonly stack: ExperimentStack; readonly target: PreparedTarget }> {
  const target = await prepareTarget(options, loaded.experiment, {
    console,
    signal: signals.command,
  });
  await requireFit(target.connection, loaded.experiment);
  const stack = await ExperimentStack.openOrCreate(stackName(loaded, options), target.pulumi, console);
  await stack.configure({ experiment: projectPath(file), ...target.config });
  return { stack, target };
}

/** The stack of an experiment, without a look at its cluster; made when there is none. */
export async function openStackOnly(
  file: string,
  loaded: LoadedExperiment,
  options: TargetOptions,
  { console, signals }: Session,
): Promise<ExperimentStack> {
  const { config } = await chooseTarget(options);
  const pulumi = await preparePulumi({ console, signal: signals.command });
  const stack = await ExperimentStack.openOrCreate(stackName(loaded, options), pulumi, console);
  await stack.configure({ experiment: projectPath(file), ...config });
  return stack;
}

/** The one stack there is, for commands that need not be told which. */
export async function onlyStack(session: Session): Promise<ExperimentStack> {
  const pulumi = await preparePulumi({ console: session.console, signal: session.signals.command });
  const names = await ExperimentStack.names(pulumi);
  const [name] = names;
  const stack = name === undefined ? undefined : await ExperimentStack.open(name, pulumi, session.console);
  if (stack === undefined || names.length > 1) {
    throw new InputError([
      {
        path: "",
        rule: names.length === 0 ? "there is no stack here." : `there are the stacks ${names.join(", ")}.`,
        fix: names.length === 0 ? "`orrery run` makes one." : "Say which, by its name or its experiment's file.",
      },
    ]);
  }
  return stack;
}

/** The stack an argument means: an experiment file, or a stack's own name. */
export async function findStack(argument: string, options: TargetOptions, session: Session): Promise<ExperimentStack> {
  const isFile = /[./]/.test(argument);
  const name = isFile ? stackName(await loadExperiment(argument), options) : argument;
  const pulumi = await preparePulumi({ console: session.console, signal: session.signals.command });
  const stack = await ExperimentStack.open(name, pulumi, session.console);
  if (stack === undefined) {
    throw new InputError([
      {
        path: "",
        rule: `there is no stack "${name}" here.`,
        fix: `\`orrery up\` makes one; ORRERY_HOME is ${OrreryHome.fromEnvironment().root}.`,
      },
    ]);
  }
  return stack;
}
