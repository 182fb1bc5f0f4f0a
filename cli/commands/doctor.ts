import { styleText } from "node:util";
import type { Command } from "commander";
import { exitCodes } from "../../schema/errors.ts";
import { fitChecks } from "../preflight.ts";
import { type CommonOptions, readExperiment, type Session, targetCommand } from "../session.ts";
import { readTarget } from "../targets.ts";

const marks = { ok: styleText("green", "ok  "), warn: styleText("yellow", "warn"), fail: styleText("red", "fail") };

/** `orrery doctor`: what this machine has and lacks, changing nothing. */
export function doctorCommand(start: (options: CommonOptions) => Session): Command {
  return targetCommand("doctor")
    .description("check what this machine and a cluster target have and lack; changes nothing")
    .argument("[experiment]", "experiment file: also whether it will fit into the cluster")
    .action(async (file: string | undefined, options: CommonOptions) => {
      const session = start(options);
      const { name, module, settings } = await readTarget(options);
      const loaded = file === undefined ? undefined : await readExperiment(file, session);
      const machine = await module.preflight(settings);
      const connection = loaded === undefined ? undefined : await module.find(settings);
      const checks =
        loaded === undefined || connection === undefined
          ? machine
          : [...machine, ...(await fitChecks(connection, loaded.experiment))];
      if (loaded !== undefined && connection === undefined) {
        session.console.info(
          `no ${name} cluster runs yet: whether ${loaded.experiment.name} fits is checked by up and run`,
        );
      }
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
