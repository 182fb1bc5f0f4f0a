/** Thrown when the user stopped a command; exit code 130. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted");
    this.name = "Interrupted";
  }
}

/**
 * Turns the first SIGINT or SIGTERM into an abort, so that a command ends in order; a second one ends it at once.
 *
 * On a terminal Ctrl-C reaches pulumi as well, being in the same process group. Passing it on would be the second
 * interrupt, on which pulumi gives up without writing its state; so there the command only waits for pulumi to end.
 */
export function interruptSignals(): { readonly command: AbortSignal; readonly children: AbortSignal } {
  const command = new AbortController();
  const children = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    if (command.signal.aborted) {
      process.exit(130);
    }
    command.abort(new Interrupted());
    if (!(signal === "SIGINT" && process.stdin.isTTY === true)) {
      children.abort(new Interrupted());
    }
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return { command: command.signal, children: children.signal };
}
