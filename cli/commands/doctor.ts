import { styleText } from "node:util";
import type { Command } from "commander";
import { exitCodes } from "../../schema/errors.ts";
import { type CommonOptions, type Session, targetCommand } from "../session.ts";
import { readTarget } from "../targets.ts";

const marks = { ok: styleText("green", "ok  "), warn: styleText("yellow", "warn"), fail: styleText("red", "fail") };

/** `orrery doctor`: what this machine has and lacks, changing nothing. */
export function doctorCommand(start: (options: CommonOptions) => Session): Command {
  return targetCommand("doctor")
    .description("check what this machine has and lacks; changes nothing")
    .action(async (options: CommonOptions) => {
      const session = start(options);
      const { module, settings } = await readTarget(options);
      const checks = await module.preflight(settings);
      const width = Math.max(...checks.map((check) => check.name.length));
      const lines = checks.map((check) => {
        const fix = check.status === "ok" || check.fix === "" ? "" : `\n${" ".repeat(width + 8)}${check.fix}`;
        return `${marks[check.status]}  ${check.name.padEnd(width)}  ${check.found}${fix}`;
      });
      session.console.result(lines.join("\n"), checks);
      if (checks.some((check) => check.status === "fail")) {
        process.exitCode = exitCodes.badInput;
      }
    });
}
