import { basename, join, posix } from "node:path";
import { parse, stringify } from "yaml";
import { EnvironmentError, InputError } from "../schema/errors.ts";
import type { Experiment } from "../schema/experiment.ts";
import { loadExperiment } from "../schema/load.ts";
import type { RenderedResource } from "../stacks/render.ts";
import { sampleGraph } from "../stacks/sample.ts";
import { targetProgram, targetTraits } from "../targets/programs.ts";
import { type ChangeSet, fileAt, filesAt } from "./changes.ts";
import type { StackChange } from "./preview.ts";
import { type Difference, withDifferences } from "./target-differences.ts";

/** Folder of the recorded graphs, relative to the project. */
const recordedFolder = "test/golden";

/** Where the graph of an experiment is recorded, relative to the project. */
export const recordedGraph = (experiment: string): string =>
  posix.join(recordedFolder, `${basename(experiment)}.golden.yaml`);

/** Where is recorded what is different of it on another target. */
export const recordedDifferences = (experiment: string, target: string): string =>
  posix.join(recordedFolder, `${basename(experiment)}.${target}.differences.yaml`);

/** An experiment and its graph as they are recorded: YAML with sorted keys and no aliases, so that lines compare. */
export async function recordGraph(experiment: Experiment): Promise<string> {
  const graph = await graphOn("local", experiment);
  return stringify({ experiment, graph }, { sortMapEntries: true, aliasDuplicateObjects: false });
}

/** The architecture is fixed: what is recorded on one machine is compared on another. */
async function graphOn(target: string, experiment: Experiment): Promise<RenderedResource[]> {
  return await sampleGraph(experiment, { run: "sample", target: { ...(await targetTraits(target)), arch: "amd64" } });
}

/** What is compared: the files at a commit, and the targets they are compared on. */
interface Comparison {
  readonly project: string;
  readonly base: string;
  readonly targets: readonly string[];
}

/**
 * Every stack of some experiments, as recorded at the base commit and as it is now. An experiment that is not valid is
 * a stack with an error; one that was recorded and is gone is a stack that is removed.
 *
 * @param experiments files relative to the project
 * @param targets names of the targets to compare on
 */
export async function recordedChanges(
  project: string,
  changes: ChangeSet,
  experiments: readonly string[],
  targets: readonly string[],
): Promise<StackChange[]> {
  const comparison = { project, base: changes.base, targets };
  const stacks: StackChange[] = [];
  for (const file of experiments) stacks.push(...(await stackChanges(comparison, file)));
  const recorded = await filesAt(project, changes.base, recordedFolder);
  const known = new Set(experiments.map(recordedGraph));
  const gone = recorded.filter((file) => file.endsWith(golden) && !known.has(file) && changes.files.includes(file));
  for (const file of gone) {
    const experiment = basename(file).slice(0, -golden.length);
    for (const target of targets) {
      const old = { ...(await before(comparison, experiment, target)), ...(await priceOf(target)) };
      stacks.push({ ...named(nameOf(experiment), experiment, target), ...old });
    }
  }
  return stacks;
}

const golden = ".golden.yaml";

/** The stacks of one experiment; where it is not valid the first target's, with the error. */
async function stackChanges(comparison: Comparison, file: string): Promise<StackChange[]> {
  const stacks: StackChange[] = [];
  for (const target of comparison.targets) {
    const old = { ...(await before(comparison, file, target)), ...(await priceOf(target)) };
    try {
      const { experiment } = await loadExperiment(join(comparison.project, file));
      stacks.push({ ...named(experiment.name, file, target), ...old, after: await graphOn(target, experiment) });
    } catch (error) {
      if (error instanceof InputError) return [{ ...named(nameOf(file), file, target), ...old, error: error.message }];
      throw error;
    }
  }
  return stacks;
}

const nameOf = (file: string) => basename(file).replace(/\.[^.]+$/, "");

const named = (name: string, file: string, target: string) => ({
  stack: `${name}-${target}`,
  experiment: file,
  target,
});

async function priceOf(target: string): Promise<Pick<StackChange, "costPerHour">> {
  const { costPerHour } = await targetProgram(target);
  return costPerHour === undefined ? {} : { costPerHour };
}

/** A stack's graph at the base commit; absent where none was recorded. */
async function before(
  { project, base }: Comparison,
  file: string,
  target: string,
): Promise<Pick<StackChange, "before">> {
  const text = await fileAt(project, base, recordedGraph(file));
  if (text === undefined) return {};
  const local = graphIn(text, file);
  if (target === "local") return { before: local };
  const differences = await fileAt(project, base, recordedDifferences(file, target));
  return differences === undefined ? {} : { before: withDifferences(local, parse(differences) as Difference[]) };
}

function graphIn(text: string, file: string): readonly RenderedResource[] {
  const document: unknown = parse(text);
  if (typeof document === "object" && document !== null && "graph" in document && Array.isArray(document.graph)) {
    return document.graph as RenderedResource[];
  }
  throw new EnvironmentError(
    `The graph recorded for ${file} at the base commit has no resources.`,
    "Record it anew on the base branch: npx vitest run --project unit test/golden -u",
  );
}
