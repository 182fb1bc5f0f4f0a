import { Command, CommanderError } from "commander";
import { EnvironmentError, exitCodes, InputError, RunFailure } from "../schema/errors.ts";
import { baselineCommand } from "./commands/baseline.ts";
import { bisectCommand } from "./commands/bisect.ts";
import { ciCommand } from "./commands/ci.ts";
import { compareCommand } from "./commands/compare.ts";
import { crdCommand } from "./commands/crd.ts";
import { destroyCommand } from "./commands/destroy.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { envCommand } from "./commands/env.ts";
import { imagesCommand } from "./commands/images.ts";
import { initCommand } from "./commands/init.ts";
import { kindCommand } from "./commands/kind.ts";
import { localCommand } from "./commands/local.ts";
import { openCommand } from "./commands/open.ts";
import { previewCommand } from "./commands/preview.ts";
import { renderCommand } from "./commands/render.ts";
import { reportCommand } from "./commands/report.ts";
import { resultsCommand } from "./commands/results.ts";
import { runCommand } from "./commands/run.ts";
import { sqlCommand } from "./commands/sql.ts";
import { statusCommand } from "./commands/status.ts";
import { upCommand } from "./commands/up.ts";
import { watchCommand } from "./commands/watch.ts";
import { Interrupted, interruptSignals } from "./interrupt.ts";
import { type CommonOptions, openSession } from "./session.ts";

const signals = interruptSignals();
const start = (options: CommonOptions) => openSession(options, signals);

const program = new Command("orrery")
  .description(
    "Describe a peer-to-peer network, its load and its faults in one file; run it on Kubernetes; get a verdict.",
  )
  .exitOverride()
  .showSuggestionAfterError();

for (const command of [
  runCommand(start),
  sqlCommand(start),
  upCommand(start),
  statusCommand(start),
  previewCommand(start),
  destroyCommand(start),
  renderCommand(start),
  resultsCommand(start),
  reportCommand(start),
  compareCommand(start),
  baselineCommand(start),
  bisectCommand(start),
  watchCommand(start),
  openCommand(start),
  localCommand(start),
  kindCommand(start),
  imagesCommand(start),
  doctorCommand(start),
  initCommand(start),
  envCommand(start),
  ciCommand(start),
  crdCommand(start),
]) {
  program.addCommand(inheritSettings(command));
}

/** Sub-commands throw instead of ending the process, so that every exit code is decided in one place. */
function inheritSettings(command: Command): Command {
  command.exitOverride();
  command.commands.forEach(inheritSettings);
  return command;
}

function exitCodeOf(error: unknown): number {
  if (signals.command.aborted || error instanceof Interrupted) {
    return exitCodes.interrupted;
  }
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCodes.pass : exitCodes.badInput;
  }
  return error instanceof InputError || error instanceof EnvironmentError
    ? exitCodes.badInput
    : exitCodes.infrastructure;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
  if (process.exitCode === exitCodes.interrupted) {
    process.stderr.write("\ninterrupted; `orrery destroy` removes what was made so far\n");
  } else if (!(error instanceof CommanderError)) {
    const expected = error instanceof InputError || error instanceof EnvironmentError || error instanceof RunFailure;
    process.stderr.write(
      `\norrery: ${expected ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
    );
  }
}
