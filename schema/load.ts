import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { LineCounter, parseDocument } from "yaml";
import { InputError, type Problem } from "./errors.ts";
import {
  crossFieldProblems,
  type Experiment,
  experimentSchemas,
  experimentWarnings,
  type WrittenExperiment,
} from "./experiment.ts";
import { type Path, problemsOf, segmentsOf } from "./issues.ts";
import { experimentJsonSchema } from "./json-schema.ts";
import { isKeramik, readKeramik } from "./keramik/read.ts";
import { type Locate, locateIn } from "./positions.ts";
import { systemNames } from "./systems/index.ts";

/** An experiment, checked and resolved, with what it was made from. */
export interface LoadedExperiment {
  readonly experiment: Experiment;
  /** The file as written; YAML made from the object when it came from TypeScript. */
  readonly source: string;
  readonly warnings: readonly Problem[];
}

/**
 * Reads an experiment from YAML, or from a TypeScript module that exports `experiment`.
 *
 * @throws InputError with every problem found, each with file, line, path, rule and fix.
 */
export async function loadExperiment(file: string): Promise<LoadedExperiment> {
  if (/\.[cm]?[jt]s$/.test(file)) {
    const written = await importExperiment(file);
    const resolved = resolveExperiment(written, () => file);
    return { ...resolved, source: `${JSON.stringify(written, null, 2)}\n` };
  }
  return parseExperiment(await readText(file), file);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const rule =
      code === "ENOENT"
        ? "there is no such file."
        : `it cannot be read: ${error instanceof Error ? error.message : String(error)}.`;
    throw new InputError([
      { at: file, path: "", rule, fix: "Give the path of an experiment file, such as examples/kv.yaml." },
    ]);
  }
}

async function importExperiment(file: string): Promise<unknown> {
  await readText(file);
  const module: unknown = await import(pathToFileURL(resolve(file)).href);
  if (typeof module === "object" && module !== null && "experiment" in module) {
    return module.experiment;
  }
  throw new InputError([
    {
      at: file,
      path: "",
      rule: "the module exports no `experiment`.",
      fix: "Write `export const experiment = {...}`.",
    },
  ]);
}

/** Checks and resolves an experiment written as a TypeScript object. */
export function defineExperiment(written: WrittenExperiment): Experiment {
  return resolveExperiment(written, () => undefined).experiment;
}

/** Parses YAML text, an experiment or Keramik's resources; `file` is used in messages only. */
export function parseExperiment(text: string, file: string): LoadedExperiment {
  if (isKeramik(text)) {
    const { written, warnings, retell } = readKeramik(text, file);
    const resolved = resolveExperiment(written, () => file, retell);
    return { experiment: resolved.experiment, source: text, warnings: [...warnings, ...resolved.warnings] };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw new InputError(
      document.errors.map((error) => ({
        at: `${file}:${lines.linePos(error.pos[0]).line}`,
        path: "",
        rule: `not valid YAML: ${error.message}.`,
      })),
    );
  }
  const locate = locateIn(document.contents, lines, file);
  return { ...resolveExperiment(document.toJS(), locate), source: text };
}

/** @param retell Says a problem in the words of the file, where that is not an experiment itself. */
function resolveExperiment(
  written: unknown,
  locate: Locate,
  retell: (problem: Problem) => Problem = (problem) => problem,
): Pick<LoadedExperiment, "experiment" | "warnings"> {
  const place = (problem: Problem & { readonly segments?: Path }): Problem => {
    const at = locate(problem.segments ?? segmentsOf(problem.path));
    return retell({
      ...(at === undefined ? {} : { at }),
      path: problem.path,
      rule: problem.rule,
      ...(problem.fix === undefined ? {} : { fix: problem.fix }),
    });
  };
  if (typeof written !== "object" || written === null || Array.isArray(written)) {
    throw new InputError([
      place({ path: "", rule: "an experiment is a mapping of keys to values.", fix: "Start from examples/kv.yaml." }),
    ]);
  }
  const result = schemaFor(written, place).safeParse(written, { reportInput: true });
  if (!result.success) {
    throw new InputError(problemsOf(result.error, experimentJsonSchema()).map(place));
  }
  const problems = crossFieldProblems(result.data);
  if (problems.length > 0) {
    throw new InputError(problems.map(place));
  }
  return { experiment: result.data, warnings: experimentWarnings(result.data).map(place) };
}

function schemaFor(written: object, place: (problem: Problem) => Problem) {
  const network: unknown = "network" in written ? written.network : undefined;
  const name: unknown =
    typeof network === "object" && network !== null && "system" in network ? network.system : undefined;
  const known = systemNames.find((system) => system === name);
  if (known === undefined) {
    const found = name === undefined ? "no system is named" : `there is no system ${JSON.stringify(name)}`;
    throw new InputError([
      place({ path: "network.system", rule: `${found}.`, fix: `Write one of ${systemNames.join(", ")}.` }),
    ]);
  }
  return experimentSchemas[known];
}
