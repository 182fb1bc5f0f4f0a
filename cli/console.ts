import { stderr } from "node:process";
import { styleText } from "node:util";
import yoctoSpinner, { type Spinner } from "yocto-spinner";
import { lineProgress, type Progress, type ProgressStep } from "../local/toolchain/progress.ts";

/** Where a command speaks: progress and remarks on standard error, results on standard output. */
export interface Console {
  /** Long work: a moving line on a terminal, plain lines elsewhere. */
  readonly progress: Progress;
  /** One line of information. */
  info(text: string): void;
  /** Something allowed but probably not meant. */
  warn(text: string): void;
  /** The command's result: `text` for people, `data` with `--json`. */
  result(text: string, data: unknown): void;
  /** Replaces the moving line on a terminal; nothing elsewhere. */
  live(text: string): void;
  /** Takes the moving line away. */
  settle(): void;
  readonly terminal: boolean;
}

/** @param json Print results as one JSON document. */
export function createConsole(json: boolean): Console {
  const terminal = stderr.isTTY === true && process.env.CI === undefined;
  const write = (line: string) => void stderr.write(`${line}\n`);
  const shared = {
    terminal,
    result: (text: string, data: unknown) =>
      void process.stdout.write(json ? `${JSON.stringify(data, null, 2)}\n` : text === "" ? "" : `${text}\n`),
  };
  if (!terminal) {
    return {
      ...shared,
      progress: lineProgress(write),
      info: write,
      warn: (text) => write(`warning: ${text}`),
      live() {},
      settle() {},
    };
  }
  return { ...shared, ...terminalParts() };
}

function terminalParts(): Omit<Console, "result" | "terminal"> {
  const line = new MovingLine();
  const started = new Map<string, number>();
  const seconds = (task: string) => ((Date.now() - (started.get(task) ?? Date.now())) / 1000).toFixed(1);
  const progress: Progress = {
    start(task) {
      started.set(task, Date.now());
      line.show(task);
    },
    update: (task, step) => line.show(`${task}  ${describeStep(step)}`),
    done(task, detail) {
      const remark = detail === undefined ? "" : `  ${styleText("dim", detail)}`;
      line.print(`${styleText("green", "✔")} ${task} ${styleText("dim", `${seconds(task)} s`)}${remark}`);
    },
    fail: (task, reason) => line.print(`${styleText("red", "✖")} ${task}: ${reason}`),
    note: (message) => line.print(`${styleText("yellow", "!")} ${message}`),
  };
  return {
    progress,
    info: (text) => line.print(text),
    warn: (text) => line.print(`${styleText("yellow", "warning")} ${text}`),
    live: (text) => line.show(text),
    settle: () => line.hide(),
  };
}

/** The one line of a terminal that changes in place. */
class MovingLine {
  #spinner: Spinner | undefined;

  show(text: string): void {
    const fitting = text.slice(0, Math.max(20, (stderr.columns ?? 80) - 4));
    if (this.#spinner === undefined) {
      this.#spinner = yoctoSpinner({ text: fitting, stream: stderr }).start();
    } else {
      this.#spinner.text = fitting;
    }
  }

  hide(): void {
    this.#spinner?.stop();
    this.#spinner = undefined;
  }

  print(text: string): void {
    this.hide();
    stderr.write(`${text}\n`);
  }
}

function describeStep(step: ProgressStep): string {
  const unit = (count: number) =>
    step.unit === "bytes"
      ? `${(count / 1e6).toFixed(1)} MB`
      : step.unit === undefined
        ? `${count}`
        : `${count} ${step.unit}`;
  const amount = step.total === undefined ? unit(step.done) : `${unit(step.done)} of ${unit(step.total)}`;
  const left = step.etaMs === undefined ? "" : `, ${formatSeconds(step.etaMs / 1000)} left`;
  const detail = step.detail === undefined ? "" : `  ${step.detail}`;
  return `${amount}${left}${detail}`;
}

/** `85` as `1 min 25 s`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
