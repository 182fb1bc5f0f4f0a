import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isMap, isPair, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { InputError, type Problem } from "./errors.ts";
import {
  crossFieldProblems,
  type Experiment,
  experimentSchemas,
  experimentWarnings,
  type WrittenExperiment,
} from "./experiment.ts";
import { experimentJsonSchema, keysAt } from "./json-schema.ts";
import { systemNames } from "./systems/index.ts";

/** An experiment, checked and resolved, with what it was made from. */
export interface LoadedExperiment {
  readonly experiment: Experiment;
  /** The file as written; YAML made from the object when it came from TypeScript. */
  readonly source: string;
  readonly warnings: readonly Problem[];
}

type Path = readonly PropertyKey[];
type Locate = (path: Path) => string | undefined;

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

/** Parses YAML text; `file` is used in messages only. */
export function parseExperiment(text: string, file: string): LoadedExperiment {
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
  const locate: Locate = (path) => {
    for (let length = path.length; length >= 0; length -= 1) {
      const offset = offsetOf(document.contents, path.slice(0, length));
      if (offset !== undefined) {
        return `${file}:${lines.linePos(offset).line}`;
      }
    }
    return file;
  };
  return { ...resolveExperiment(document.toJS(), locate), source: text };
}

/** Offset of the key (or list item) a path ends at, in the parsed YAML tree. */
function offsetOf(root: unknown, path: Path): number | undefined {
  let node: unknown = root;
  let offset = rangeStart(root);
  for (const segment of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && scalarText(item.key) === String(segment));
      if (pair === undefined) {
        return undefined;
      }
      offset = rangeStart(pair.key);
      node = pair.value;
    } else if (typeof node === "object" && node !== null && "items" in node && Array.isArray(node.items)) {
      node = node.items[Number(segment)];
      offset = rangeStart(node);
    } else {
      return undefined;
    }
  }
  return offset;
}

function scalarText(node: unknown): string {
  return typeof node === "object" && node !== null && "value" in node ? String(node.value) : String(node);
}

function rangeStart(node: unknown): number | undefined {
  if (typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range)) {
    const start: unknown = node.range[0];
    return typeof start === "number" ? start : undefined;
  }
  return undefined;
}

function resolveExperiment(written: unknown, locate: Locate): Pick<LoadedExperiment, "experiment" | "warnings"> {
  const place = (problem: Problem & { readonly segments?: Path }): Problem => {
    const at = locate(problem.segments ?? segmentsOf(problem.path));
    return {
      ...(at === undefined ? {} : { at }),
      path: problem.path,
      rule: problem.rule,
      ...(problem.fix === undefined ? {} : { fix: problem.fix }),
    };
  };
  if (typeof written !== "object" || written === null || Array.isArray(written)) {
    throw new InputError([
      place({ path: "", rule: "an experiment is a mapping of keys to values.", fix: "Start from examples/kv.yaml." }),
    ]);
  }
  const result = schemaFor(written, place).safeParse(written, { reportInput: true });
  if (!result.success) {
    throw new InputError(result.error.issues.flatMap(flattenIssue).map((issue) => place(problemOf(issue))));
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

type Issue = z.core.$ZodIssue;

/** The issues a reader should see: of a union, those of the one alternative that was evidently meant. */
function flattenIssue(issue: Issue): Issue[] {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) {
    return [issue];
  }
  const meant = issue.errors.filter(
    (errors) => !errors.some((error) => error.code === "unrecognized_keys" || error.path.length === 0),
  );
  const [only] = meant;
  if (meant.length !== 1 || only === undefined) {
    return [issue];
  }
  return only.map((error) => ({ ...error, path: [...issue.path, ...error.path] })).flatMap(flattenIssue);
}

function problemOf(issue: Issue): Problem & { readonly segments: Path } {
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    const segments = [...issue.path, key];
    const known = keysAt(experimentJsonSchema(), issue.path);
    const unknown = issue.keys.map((name) => `"${name}"`).join(", ");
    return {
      segments,
      path: pathText(segments),
      rule: `unknown ${issue.keys.length > 1 ? "keys" : "key"} ${unknown}.`,
      ...(known.length > 0 ? { fix: `Known here: ${known.join(", ")}.` } : {}),
    };
  }
  return { segments: issue.path, path: pathText(issue.path), rule: `${ruleOf(issue)}.` };
}

function ruleOf(issue: Issue): string {
  if (issue.input === undefined && issue.code === "invalid_type") {
    return "it is missing";
  }
  const found = typeof issue.input === "object" ? "" : `${JSON.stringify(issue.input)}: `;
  return issue.code === "too_small" || issue.code === "too_big" || issue.code === "invalid_type"
    ? `${found}${issue.message}`
    : issue.message;
}

function pathText(path: Path): string {
  return path
    .map((segment, index) =>
      typeof segment === "number" ? `[${segment}]` : `${index === 0 ? "" : "."}${String(segment)}`,
    )
    .join("");
}

function segmentsOf(path: string): Path {
  return path === ""
    ? []
    : path
        .split(/[.[\]]+/)
        .filter((part) => part !== "")
        .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}
