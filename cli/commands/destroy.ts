import type { Command } from "commander";
import { findStack } from "../open-stack.ts";
import { type CommonOptions, type Session, targetCommand } from "../session.ts";

interface DestroyOptions extends CommonOptions {
  readonly remove?: boolean;
}

/** `orrery destroy <experiment or stack>`. */
export function destroyCommand(start: (options: DestroyOptions) => Session): Command {
  return targetCommand("destroy")
    .description("destroy everything an experiment's stack made; results are kept")
    .argument("<experiment>", "experiment file, or the name of a stack")
    .option("--remove", "forget the stack and its configuration too")
    .action(async (argument: string, options: DestroyOptions) => {
      const session = start(options);
      const stack = await findStack(argument, options, session);
      await stack.configure({ run: undefined });
      await stack.destroy(session.signals.children);
      if (options.remove === true) {
        await stack.remove();
      }
      session.console.settle();
      session.console.result(`stack ${stack.name} is destroyed`, { stack: stack.name });
    });
}
