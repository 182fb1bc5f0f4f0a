import type { Command } from "commander";
import { openStackOnly } from "../open-stack.ts";
import { type CommonOptions, readExperiment, type Session, targetCommand } from "../session.ts";

/** `orrery init <experiment>`: make the stack and its root secret, for work with plain pulumi. */
export function initCommand(start: (options: CommonOptions) => Session): Command {
  return targetCommand("init")
    .description("make the stack of an experiment with its root secret, for use with plain pulumi")
    .argument("<experiment>", "experiment file")
    .action(async (file: string, options: CommonOptions) => {
      const session = start(options);
      const loaded = await readExperiment(file, session);
      const stack = await openStackOnly(file, loaded, options, session);
      session.console.result(
        `stack ${stack.name} is ready for: eval "$(npx orrery env)" && pulumi preview --stack ${stack.name}`,
        {
          stack: stack.name,
        },
      );
    });
}
