import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { createLogUpdate } from "log-update";
import { InputError, RunFailure } from "../../schema/errors.ts";
import type { RunSpec } from "../../schema/run.ts";
import { type ConductorClient, conductorOf } from "../collect.ts";
import { describeLive, type LiveView, liveView, renderLive } from "../live.ts";
import { findStack, onlyStack } from "../open-stack.ts";
import { type CommonOptions, type Session, targetCommand } from "../session.ts";
import type { ExperimentStack } from "../stack.ts";
import { existingConnection } from "../targets.ts";

/** `orrery watch [experiment]`: a run in progress, seen from another terminal. Ends with the run; Ctrl-C ends it sooner. */
export function watchCommand(start: (options: CommonOptions) => Session): Command {
  return targetCommand("watch")
    .description("watch a run in progress; Ctrl-C ends the view, not the run")
    .argument("[experiment]", "experiment file, or the name of a stack; needless where there is one stack only")
    .action(async (argument: string | undefined, options: CommonOptions) => {
      const session = start(options);
      const stack = argument === undefined ? await onlyStack(session) : await findStack(argument, options, session);
      const screen = options.json === true ? jsonScreen() : process.stdout.isTTY ? terminalScreen() : lineScreen();
      try {
        await follow(await runOf(stack), session.signals.command, screen);
      } finally {
        screen.end();
      }
      if (session.signals.command.aborted) {
        session.console.info("the view ended; the run goes on");
      }
    });
}

/** The conductor of the run a stack names. */
async function runOf(stack: ExperimentStack): Promise<ConductorClient> {
  const [run, rootSecret, target = "local", context, options] = await Promise.all(
    ["run", "rootSecret", "target", "context", "options"].map((key) => stack.config(key)),
  );
  if (run === undefined || rootSecret === undefined) {
    throw new InputError([
      { path: "", rule: `stack ${stack.name} has no run.`, fix: "Start one with `orrery run` in another terminal." },
    ]);
  }
  const connection = await existingConnection({ target, context, options });
  const experiment = stack.name.slice(0, -`-${target}`.length);
  return conductorOf(connection, experiment, run, rootSecret);
}

/** Where a view is shown. */
export interface Screen {
  show(view: LiveView): void;
  /** There is nothing to show yet, and why. */
  wait(reason: string): void;
  end(): void;
}

const everyMs = 1_000;

/** Shows the run until it is complete or the signal says stop; a conductor that does not answer is asked again. */
export async function follow(
  conductor: Pick<ConductorClient, "status" | "spec">,
  stop: AbortSignal,
  screen: Screen,
): Promise<void> {
  let spec: RunSpec | undefined;
  while (!stop.aborted) {
    const askedAtMs = Date.now();
    try {
      const status = await conductor.status();
      spec ??= status === undefined ? undefined : await conductor.spec();
      if (status === undefined || spec === undefined) {
        screen.wait("the conductor does not know the run yet");
      } else {
        screen.show(liveView(status, spec));
        if (status.state === "complete") {
          return;
        }
      }
    } catch (error) {
      // The network may be about to come up, or the conductor be on its way to another node: asked again.
      if (!(error instanceof RunFailure)) throw error;
      screen.wait(error.message);
    }
    const leftMs = Math.max(0, askedAtMs + everyMs - Date.now());
    await delay(leftMs, undefined, { signal: stop }).catch(() => undefined); // told to stop
  }
}

/** One JSON document a line, a second. */
function jsonScreen(): Screen {
  const write = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  return { show: write, wait: (reason) => write({ phase: "waiting", reason }), end: () => {} };
}

/** A line every few seconds and at every change of phase, for logs and pipes. */
function lineScreen(): Screen {
  let last = { phase: "", atMs: 0 };
  const print = (phase: string, line: string): void => {
    if (phase !== last.phase || Date.now() - last.atMs > 5_000) {
      last = { phase, atMs: Date.now() };
      process.stdout.write(`${line}\n`);
    }
  };
  return {
    show: (view) => print(view.phase, describeLive(view)),
    wait: (reason) => print(reason, `waiting: ${reason}`),
    end: () => {},
  };
}

/** A picture that changes in place, drawn anew when the terminal changes its size. */
function terminalScreen(): Screen {
  const update = createLogUpdate(process.stdout, { showCursor: false });
  const rates: number[] = [];
  let draw = (): void => {};
  const onResize = (): void => draw();
  process.stdout.on("resize", onResize);
  return {
    show(view) {
      if (view.phase !== "waiting" && view.phase !== "complete") rates.push(view.ratePerSecond);
      draw = () => {
        const { columns, rows } = process.stdout;
        update(renderLive(view, { width: columns ?? 80, height: rows ?? 24, color: true, rates }));
      };
      draw();
    },
    wait(reason) {
      draw = () => update(`waiting: ${reason}`);
      draw();
    },
    end() {
      process.stdout.off("resize", onResize);
      update.done();
    },
  };
}
