import { basename, join, posix } from "node:path";
import { parse, stringify } from "yaml";
import { EnvironmentError, InputError } from "../schema/errors.ts";
import type { Experiment } from "../schema/experiment.ts";
import { loadExperiment } from "../schema/load.ts";
import type { RenderedResource } from "../stacks/render.ts";
import { sampleGraph } from "../stacks/sample.ts";
import { targetTraits } from "../targets/programs.ts";
import { type ChangeSet, fileAt, filesAt } from "./changes.ts";
import type { StackChange } from "./preview.ts";

/** Folder of the recorded graphs, relative to the project. */
const recordedFolder = "test/golden";

/** Where the graph of an experiment is recorded, relative to the project. */
export const recordedGraph = (experiment: string): string =>
  posix.join(recordedFolder, `${basename(experiment)}.golden.yaml`);

/** An experiment and its graph as they are recorded: YAML with sorted keys and no aliases, so that lines compare. */
export async function recordGraph(experiment: Experiment): Promise<string> {
  const graph = await localGraph(experiment);
  return stringify({ experiment, graph }, { sortMapEntries: true, aliasDuplicateObjects: false });
}

/** The architecture is fixed: what is recorded on one machine is compared on another. */
async function localGraph(experiment: Experiment): Promise<RenderedResource[]> {
  return await sampleGraph(experiment, { run: "sample", target: { ...(await targetTraits("local")), arch: "amd64" } });
}

/**
 * Every stack of some experiments, as recorded at the base commit and as it is now. An experiment that is not valid is
 * a stack with an error; one that was recorded and is gone is a stack that is removed.
 *
 * @param experiments files relative to the project
 */
export async function recordedChanges(
  project: string,
  changes: ChangeSet,
  experiments: readonly string[],
): Promise<StackChange[]> {
  const stacks: StackChange[] = [];
  for (const file of experiments) {
    const before = graphIn(await fileAt(project, changes.base, recordedGraph(file)), file);
    stacks.push(await stackChange(project, file, before));
  }
  const recorded = await filesAt(project, changes.base, recordedFolder);
  const known = new Set(experiments.map(recordedGraph));
  const gone = recorded.filter((file) => file.endsWith(".golden.yaml") && !known.has(file));
  for (const file of gone.filter((one) => changes.files.includes(one))) {
    const before = graphIn(await fileAt(project, changes.base, file), file);
    stacks.push({ ...named(basename(file).replace(/\.(ya?ml|ts)\.golden\.yaml$/, ""), file), ...before });
  }
  return stacks;
}

async function stackChange(project: string, file: string, before: Pick<StackChange, "before">): Promise<StackChange> {
  try {
    const { experiment } = await loadExperiment(join(project, file));
    return { ...named(experiment.name, file), ...before, after: await localGraph(experiment) };
  } catch (error) {
    if (error instanceof InputError) {
      return { ...named(basename(file).replace(/\.[^.]+$/, ""), file), ...before, error: error.message };
    }
    throw error;
  }
}

const named = (name: string, file: string) => ({ stack: `${name}-local`, experiment: file, target: "local" });

function graphIn(text: string | undefined, file: string): Pick<StackChange, "before"> {
  if (text === undefined) {
    return {};
  }
  const document: unknown = parse(text);
  if (typeof document === "object" && document !== null && "graph" in document && Array.isArray(document.graph)) {
    return { before: document.graph as RenderedResource[] };
  }
  throw new EnvironmentError(
    `The graph recorded for ${file} at the base commit has no resources.`,
    "Record it anew on the base branch: npx vitest run --project unit -u test/golden",
  );
}
