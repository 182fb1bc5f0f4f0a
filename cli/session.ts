import { Command } from "commander";
import { formatProblem } from "../schema/errors.ts";
import { type LoadedExperiment, loadExperiment } from "../schema/load.ts";
import { targetNames } from "../targets/modules.ts";
import { type Console, createConsole } from "./console.ts";
import type { interruptSignals } from "./interrupt.ts";
import type { TargetOptions } from "./targets.ts";

/** What every command gets: where it speaks and how it is stopped. */
export interface Session {
  readonly console: Console;
  readonly signals: ReturnType<typeof interruptSignals>;
}

/** Options that many commands share. */
export interface CommonOptions extends TargetOptions {
  readonly json?: boolean;
}

/** A command with the options that choose a cluster. */
export function targetCommand(name: string): Command {
  return new Command(name)
    .option("-t, --target <name>", `cluster target: ${targetNames.join(", ")}`)
    .option("-c, --context <name>", "kubeconfig context of an existing cluster")
    .option("-i, --image <name=reference...>", "image for a part, where the cluster cannot run those built here")
    .option("-T, --target-option <key=value...>", "a setting of the target; its README lists them")
    .option("--json", "print the result as JSON");
}

export function openSession(options: CommonOptions, signals: Session["signals"]): Session {
  return { console: createConsole(options.json === true), signals };
}

/** Reads an experiment and prints its warnings. */
export async function readExperiment(file: string, { console }: Session): Promise<LoadedExperiment> {
  const loaded = await loadExperiment(file);
  for (const warning of loaded.warnings) {
    console.warn(formatProblem(warning));
  }
  return loaded;
}
