/** One thing wrong with something a user wrote. */
export interface Problem {
  /** Where: `file:line`, as precise as is known; absent for values that came from code. */
  readonly at?: string;
  /** Path inside the document, e.g. `workload.arrival.rate`. */
  readonly path: string;
  /** What is wrong, with the value that was found. */
  readonly rule: string;
  /** What to write instead. */
  readonly fix?: string;
}

/** One line for a problem: `examples/kv.yaml:9 workload.workers: 0 is less than 1. Write 1 to 64.` */
export function formatProblem(problem: Problem): string {
  const where = [problem.at, problem.path].filter((part) => part !== undefined && part !== "").join(" ");
  const fix = problem.fix === undefined ? "" : ` ${problem.fix}`;
  return `${where === "" ? "" : `${where}: `}${problem.rule}${fix}`;
}

/** What a user wrote cannot be used; nothing was changed. Lists every problem found, not the first. Exit code 3. */
export class InputError extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.name = "InputError";
    this.problems = problems;
  }
}

/** The machine, cluster or an installed tool is not as needed; nothing was changed. Exit code 3. */
export class EnvironmentError extends Error {
  readonly what: string;
  readonly fix: string;
  /**
   * @param what What was found and why it does not do.
   * @param fix What to do about it, with the exact command where there is one.
   */
  constructor(what: string, fix: string, options?: ErrorOptions) {
    super(`${what}\n  ${fix}`, options);
    this.name = "EnvironmentError";
    this.what = what;
    this.fix = fix;
  }
}

/** Infrastructure failed while a run was under way; state is kept for diagnosis. Exit code 4. */
export class RunFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RunFailure";
  }
}

/** Exit codes of the `orrery` command; the driver uses `pass`, `badInput` and `infrastructure`. */
export const exitCodes = {
  pass: 0,
  fail: 1,
  invalid: 2,
  badInput: 3,
  infrastructure: 4,
  inconclusive: 5,
  interrupted: 130,
} as const;

/** What went wrong, with what it came from. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const own = error.message === "" && "code" in error ? String(error.code) : error.message;
  return error.cause === undefined ? own : `${own} (${messageOf(error.cause)})`;
}
