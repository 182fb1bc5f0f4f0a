/** What a `total` and a `done` count. */
export type ProgressUnit = "bytes" | "packages" | "modules";

/**
 * Where long work reports to. The command line draws it; a task that has been started ends in `done` or `fail`,
 * exactly once. Tasks are told apart by their name, for example `build kubernetes`.
 */
export interface Progress {
  start(task: string, size?: ProgressSize): void;
  update(task: string, step: ProgressStep): void;
  done(task: string, detail?: string): void;
  fail(task: string, reason: string): void;
  /** Something the user should know that is no failure, for example a corrupt file that is made again. */
  note(message: string): void;
}

/** How much there is to do, where it is known. */
export interface ProgressSize {
  readonly total?: number | undefined;
  readonly unit?: ProgressUnit | undefined;
}

/** How far a task is. */
export interface ProgressStep extends ProgressSize {
  readonly done: number;
  /** Milliseconds until the end, estimated from the speed so far; absent until there is something to go by. */
  readonly etaMs?: number | undefined;
  /** What is being worked on, for example the package that compiles. */
  readonly detail?: string;
}

/** Reports nothing. */
export const silentProgress: Progress = {
  start() {},
  update() {},
  done() {},
  fail() {},
  note() {},
};

/** One plain line per event and at most one per ten seconds of the same task: for logs and CI. */
export function lineProgress(write: (line: string) => void, now: () => number = Date.now): Progress {
  const last = new Map<string, number>();
  return {
    start(task, size) {
      last.set(task, now());
      write(`${task}: started${size?.total === undefined ? "" : ` (${amount(size.total, size.unit)})`}`);
    },
    update(task, step) {
      if (now() - (last.get(task) ?? 0) < 10_000) return;
      last.set(task, now());
      const total = step.total === undefined ? "" : ` of ${amount(step.total, step.unit)}`;
      const left = step.etaMs === undefined ? "" : `, about ${Math.ceil(step.etaMs / 1000)} s left`;
      write(`${task}: ${amount(step.done, step.unit)}${total}${left}`);
    },
    done: (task, detail) => write(`${task}: done${detail === undefined ? "" : ` (${detail})`}`),
    fail: (task, reason) => write(`${task}: failed: ${reason}`),
    note: (message) => write(message),
  };
}

/** Estimates the time left from the work done since it was made. */
export class Eta {
  readonly #startedAt: number;
  readonly #offset: number;

  /** @param offset Work that was there before the clock started, for example bytes of a resumed download. */
  constructor(offset = 0, startedAt = Date.now()) {
    this.#startedAt = startedAt;
    this.#offset = offset;
  }

  /** Milliseconds left; `undefined` in the first second and when nothing has moved. */
  left(done: number, total: number, now = Date.now()): number | undefined {
    const elapsed = now - this.#startedAt;
    const moved = done - this.#offset;
    if (elapsed < 1000 || moved <= 0) return undefined;
    return Math.max(0, ((total - done) * elapsed) / moved);
  }
}

function amount(count: number, unit: ProgressUnit | undefined): string {
  if (unit === "bytes") return `${(count / 1e6).toFixed(1)} MB`;
  return unit === undefined ? String(count) : `${count} ${unit}`;
}
