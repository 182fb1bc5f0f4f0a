import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseDocument } from "yaml";
import { readRunRecord } from "../analysis/compare/runs.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import type { RunRecord } from "../schema/comparison.ts";
import type { LoadedExperiment } from "../schema/load.ts";
import { openStack } from "./open-stack.ts";
import { carryOut, newRunId } from "./run.ts";
import { type CommonOptions, readExperiment, type Session } from "./session.ts";
import { type ExperimentStack, projectPath } from "./stack.ts";

/** Too many runs were invalid to compare anything. */
export class InvalidRuns extends Error {
  constructor(message: string) {
    super(message);
    this.name = "InvalidRuns";
  }
}

/** Runs of one experiment with one image version after the other, on one stack. */
export class VersionRuns {
  readonly #file: string;
  readonly #loaded: LoadedExperiment;
  readonly #options: CommonOptions & { readonly results: string };
  readonly #session: Session;
  #stack: ExperimentStack | undefined;

  constructor(
    file: string,
    loaded: LoadedExperiment,
    options: CommonOptions & { readonly results: string },
    session: Session,
  ) {
    this.#file = file;
    this.#loaded = loaded;
    this.#options = options;
    this.#session = session;
  }

  /**
   * Deploys a version and makes runs until so many are valid.
   *
   * @throws InvalidRuns when as many as were wanted are invalid
   */
  async make(version: string, count: number): Promise<RunRecord[]> {
    const file = await this.#versionFile(version);
    const loaded = await readExperiment(file, this.#session);
    const { stack, target } = await openStack(file, loaded, this.#options, this.#session);
    this.#stack = stack;
    const runs: RunRecord[] = [];
    const invalid: string[] = [];
    while (runs.length < count) {
      this.#session.signals.command.throwIfAborted();
      const run = newRunId(new Date());
      this.#session.console.info(`${version}: run ${runs.length + 1} of ${count}, ${run}`);
      const results = resolve(this.#options.results);
      const { folder } = await carryOut({ loaded, target, stack, run, results, ...this.#session });
      const { record, against } = await readRunRecord(folder);
      if (against.length === 0) {
        runs.push(record);
      } else {
        invalid.push(`${run} (${against.join(", ")})`);
        this.#session.console.warn(`run ${run} is invalid: ${against.join(", ")}`);
      }
      if (invalid.length >= count) {
        throw new InvalidRuns(`${version}: too many invalid runs to compare: ${invalid.join(", ")}`);
      }
    }
    return runs;
  }

  /** Points the stack at the experiment file again and, if asked, destroys it. */
  async close(destroy: boolean): Promise<void> {
    await this.#stack?.configure({ run: undefined, experiment: projectPath(this.#file) });
    if (destroy) {
      await this.#stack?.destroy(this.#session.signals.children);
    }
    this.#session.console.settle();
  }

  /** The experiment with another image, where the stack's program finds it. */
  async #versionFile(version: string): Promise<string> {
    const document = parseDocument(this.#loaded.source);
    document.setIn(["network", "image"], version);
    const folder = join(OrreryHome.fromEnvironment().root, "bisect");
    await mkdir(folder, { recursive: true });
    const file = join(folder, `${this.#loaded.experiment.name}.yaml`);
    await writeFile(file, String(document));
    return file;
  }
}
