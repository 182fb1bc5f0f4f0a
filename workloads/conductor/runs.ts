import { messageOf } from "../../schema/errors.ts";
import { log } from "../core/log.ts";
import { Run, type RunSurroundings } from "./run.ts";
import { RunStore } from "./store.ts";

const specFile = "spec.json";
/**
 * Complete runs stay on the volume for as long as there is room, so that they can be collected again: ten at most, and
 * only the newest two where less than half of it is free.
 */
const retention = { keep: 10, keepWhenScarce: 2, scarceShare: 0.5 };

/** Every run this conductor knows: those on its volume, and those whose ConfigMap is in its namespace. */
export class Runs {
  readonly #dataFolder: string;
  readonly #namespace: string;
  readonly #around: RunSurroundings;
  readonly #runs = new Map<string, Promise<Run | undefined>>();

  constructor(dataFolder: string, namespace: string, around: RunSurroundings) {
    this.#dataFolder = dataFolder;
    this.#namespace = namespace;
    this.#around = around;
  }

  /** Takes up the runs that were under way when the last conductor ended. */
  async resume(): Promise<void> {
    for (const name of await RunStore.runs(this.#dataFolder)) {
      try {
        const run = await this.find(name);
        if (run !== undefined && !run.complete) {
          log("info", "a run goes on", { run: name, state: run.status().state });
        }
      } catch (error) {
        log("error", "a run on the volume cannot be read; it is left alone", { run: name, error: messageOf(error) });
      }
    }
  }

  /** A run by its id, or undefined when there is none; never two of the same. */
  async find(name: string): Promise<Run | undefined> {
    const known = this.#runs.get(name);
    if (known !== undefined) {
      return await known;
    }
    const opening = this.#open(name);
    this.#runs.set(name, opening);
    try {
      const run = await opening;
      if (run === undefined) {
        this.#runs.delete(name);
      }
      return run;
    } catch (error) {
      this.#runs.delete(name);
      throw error;
    }
  }

  /** Runs that have been asked for since the start, and those that were under way then. */
  async all(): Promise<Run[]> {
    const runs = await Promise.all([...this.#runs.values()].map((run) => run.catch(() => undefined)));
    return runs.filter((run) => run !== undefined);
  }

  /** Removes the oldest complete runs, which were collected long ago, before a new one needs the volume. */
  async #makeRoom(newRun: string): Promise<void> {
    for (const name of await RunStore.expendable(this.#dataFolder, retention, newRun)) {
      await new RunStore(this.#dataFolder, name).remove();
      this.#runs.delete(name);
      log("info", "an old run is removed from the volume", { run: name });
    }
  }

  async #open(name: string): Promise<Run | undefined> {
    const store = new RunStore(this.#dataFolder, name);
    const kept = (await store.readFile(specFile))?.toString();
    const spec = kept ?? (await this.#around.kubernetes.configMapValue(this.#namespace, `run-${name}`, specFile));
    if (spec === undefined) {
      return undefined;
    }
    const run = new Run(spec, await store.readState(), store, this.#around);
    if (kept === undefined) {
      await this.#makeRoom(name);
      await store.keepText(specFile, spec);
    }
    return run;
  }
}
