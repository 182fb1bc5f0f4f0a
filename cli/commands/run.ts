import { resolve } from "node:path";
import type { Command } from "commander";
import { openStack } from "../open-stack.ts";
import { announce, carryOut, newRunId, verdictExitCodes } from "../run.ts";
import { type CommonOptions, readExperiment, type Session, targetCommand } from "../session.ts";

interface RunOptions extends CommonOptions {
  readonly results: string;
  readonly destroy?: boolean;
}

/** `orrery run <experiment>`: deploy, run, judge. */
export function runCommand(start: (options: RunOptions) => Session): Command {
  return targetCommand("run")
    .description("deploy an experiment, run it and judge it; exit code 0 pass, 1 fail, 2 invalid")
    .argument("<experiment>", "experiment file")
    .option("-o, --results <folder>", "folder for results", "results")
    .option("--destroy", "destroy the stack afterwards, whatever the verdict")
    .action(async (file: string, options: RunOptions) => {
      const session = start(options);
      const loaded = await readExperiment(file, session);
      const { stack, target } = await openStack(file, loaded, options, session);
      try {
        const outcome = await carryOut({
          loaded,
          target,
          stack,
          run: newRunId(new Date()),
          results: resolve(options.results),
          ...session,
        });
        announce(outcome, session.console);
        process.exitCode = verdictExitCodes[outcome.summary.verdict];
      } finally {
        if (options.destroy === true && !session.signals.command.aborted) {
          await stack.configure({ run: undefined });
          await stack.destroy(session.signals.children);
          session.console.settle();
          session.console.info(`stack ${stack.name} is destroyed`);
        }
        if (target.afterwards !== undefined) {
          session.console.info(target.afterwards);
        }
      }
    });
}
