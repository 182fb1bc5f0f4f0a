import { Command, CommanderError } from "commander";
import manifest from "../package.json" with { type: "json" };
import { EnvironmentError, exitCodes, InputError, RunFailure } from "../schema/errors.ts";
import { Interrupted, interruptSignals } from "./interrupt.ts";
import { type CommonOptions, openSession } from "./session.ts";

const signals = interruptSignals();
const start = (options: CommonOptions) => openSession(options, signals);

const program = new Command("orrery")
  .description(
    "Describe a peer-to-peer network, its load and its faults in one file; run it on Kubernetes; get a verdict.",
  )
  .version(manifest.version)
  .exitOverride()
  .showSuggestionAfterError();

/** The verbs, in the order they are told to people. Each is loaded when it is called, all for the help of the whole. */
const verbs: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import("./commands/run.ts")).runCommand(start),
  sql: async () => (await import("./commands/sql.ts")).sqlCommand(start),
  up: async () => (await import("./commands/up.ts")).upCommand(start),
  status: async () => (await import("./commands/status.ts")).statusCommand(start),
  preview: async () => (await import("./commands/preview.ts")).previewCommand(start),
  destroy: async () => (await import("./commands/destroy.ts")).destroyCommand(start),
  render: async () => (await import("./commands/render.ts")).renderCommand(start),
  results: async () => (await import("./commands/results.ts")).resultsCommand(start),
  report: async () => (await import("./commands/report.ts")).reportCommand(start),
  compare: async () => (await import("./commands/compare.ts")).compareCommand(start),
  baseline: async () => (await import("./commands/baseline.ts")).baselineCommand(start),
  bisect: async () => (await import("./commands/bisect.ts")).bisectCommand(start),
  watch: async () => (await import("./commands/watch.ts")).watchCommand(start),
  open: async () => (await import("./commands/open.ts")).openCommand(start),
  local: async () => (await import("./commands/local.ts")).localCommand(start),
  kind: async () => (await import("./commands/kind.ts")).kindCommand(start),
  images: async () => (await import("./commands/images.ts")).imagesCommand(start),
  doctor: async () => (await import("./commands/doctor.ts")).doctorCommand(start),
  init: async () => (await import("./commands/init.ts")).initCommand(start),
  env: async () => (await import("./commands/env.ts")).envCommand(start),
  ci: async () => (await import("./commands/ci.ts")).ciCommand(start),
  crd: async () => (await import("./commands/crd.ts")).crdCommand(start),
};
const called = Object.entries(verbs).filter(([name]) => name === process.argv[2]);
for (const [, load] of called.length > 0 ? called : Object.entries(verbs)) {
  program.addCommand(inheritSettings(await load()));
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
