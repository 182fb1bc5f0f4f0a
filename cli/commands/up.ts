import type { Command } from "commander";
import { openStack } from "../open-stack.ts";
import { type CommonOptions, readExperiment, type Session, targetCommand } from "../session.ts";

/** `orrery up <experiment>`: deploy the network, without a run. */
export function upCommand(start: (options: CommonOptions) => Session): Command {
  return targetCommand("up")
    .description("deploy an experiment's network and platform, without a run")
    .argument("<experiment>", "experiment file")
    .action(async (file: string, options: CommonOptions) => {
      const session = start(options);
      const loaded = await readExperiment(file, session);
      const { stack } = await openStack(file, loaded, options, session);
      await stack.configure({ run: undefined });
      await stack.up(session.signals.children);
      session.console.settle();
      const outputs = await stack.outputs();
      session.console.result(`stack ${stack.name} is up in namespace ${String(outputs.namespace)}`, {
        stack: stack.name,
        ...outputs,
      });
    });
}
