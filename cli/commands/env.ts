import { Command } from "commander";
import type { CommonOptions, Session } from "../session.ts";
import { preparePulumi } from "../targets.ts";

/** `eval "$(orrery env)"`: what plain pulumi needs to act on the same stacks. */
export function envCommand(start: (options: CommonOptions) => Session): Command {
  return new Command("env")
    .description('print the shell variables plain pulumi needs; use as eval "$(npx orrery env)"')
    .option("--json", "print them as JSON")
    .action(async (options: CommonOptions) => {
      const session = start(options);
      const { env } = await preparePulumi({ console: session.console, signal: session.signals.command });
      const lines = Object.entries(env).map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`);
      session.console.result(lines.join("\n"), env);
    });
}
