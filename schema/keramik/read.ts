import { isMap, LineCounter, type ParsedNode, parseAllDocuments } from "yaml";
import { z } from "zod";
import { InputError, type Problem } from "../errors.ts";
import { type Path, pathText, problemsOf, segmentsOf } from "../issues.ts";
import { type Locate, locateIn } from "../positions.ts";
import { convertKeramik, type Remark } from "./convert.ts";
import { kindClusterSchema } from "./kind.ts";
import { type KeramikNetwork, networkSchema } from "./network.ts";
import { keramikVersion } from "./parts.ts";
import { type KeramikSimulation, simulationSchema } from "./simulation.ts";

/** Keramik's resources as an experiment that is yet to be checked as one. */
export interface KeramikExperiment {
  readonly written: Readonly<Record<string, unknown>>;
  readonly warnings: readonly Problem[];
  /** A problem of the experiment, told in the words and at the place of what it was made from. */
  readonly retell: (problem: Problem) => Problem;
}

/** Whether a text holds Keramik's resources, or the kind cluster of its README. */
export function isKeramik(text: string): boolean {
  return /^apiVersion:\s*["']?(keramik\.3box\.io|kind\.x-k8s\.io)\//m.test(text);
}

interface Document<Kind> {
  readonly value: Kind;
  readonly locate: Locate;
}

const schemas = { Network: networkSchema, Simulation: simulationSchema, Cluster: kindClusterSchema };
type Kind = keyof typeof schemas;

/**
 * Reads a Network and at most one Simulation, in as many YAML documents.
 *
 * @param file Used in messages only.
 * @throws InputError with every problem found, each with file and line.
 */
export function readKeramik(text: string, file: string): KeramikExperiment {
  const documents = parse(text, file);
  const network = only<KeramikNetwork>(documents, "Network", file);
  const simulation = only<KeramikSimulation>(documents, "Simulation", file);
  if (network === undefined) {
    throw new InputError([
      {
        at: file,
        path: "",
        rule: "there is no Network in it.",
        fix: "Put the Network and its Simulation into one file, with a line of --- between them.",
      },
    ]);
  }
  const converted = convertKeramik(network.value, simulation?.value);
  const place = ({ document, segments, path, rule, fix }: Remark): Problem => {
    const at = (document === "network" ? network : simulation)?.locate(segments);
    return { ...(at === undefined ? {} : { at }), path, rule, ...(fix === undefined ? {} : { fix }) };
  };
  if (converted.problems.length > 0) {
    throw new InputError(converted.problems.map(place));
  }
  const cluster = only<unknown>(documents, "Cluster", file);
  return {
    written: converted.written,
    warnings: [...converted.remarks.map(place), ...(cluster === undefined ? [] : [clusterRemark(cluster)])],
    retell: (problem) => retell(problem, network, simulation),
  };
}

function clusterRemark({ locate }: Document<unknown>): Problem {
  const at = locate([]);
  return {
    ...(at === undefined ? {} : { at }),
    path: "",
    rule: "the kind cluster is read over: a cluster target says how its cluster is made.",
    fix: "Use --target kind.",
  };
}

function parse(text: string, file: string): Map<Kind, Document<unknown>[]> {
  const lines = new LineCounter();
  const parsed = parseAllDocuments<ParsedNode>(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const documents = "empty" in parsed ? [] : parsed;
  const errors = documents.flatMap((document) => document.errors);
  if (errors.length > 0) {
    throw new InputError(
      errors.map((error) => ({
        at: `${file}:${lines.linePos(error.pos[0]).line}`,
        path: "",
        rule: `not valid YAML: ${error.message}.`,
      })),
    );
  }
  const found = new Map<Kind, Document<unknown>[]>();
  const problems: Problem[] = [];
  for (const document of documents.filter(({ contents }) => isMap(contents))) {
    const locate = locateIn(document.contents, lines, file);
    const written: unknown = document.toJS();
    const kind = kindOf(written);
    if (kind === undefined) {
      problems.push(unknownKind(written, locate));
      continue;
    }
    const result = (schemas[kind] as z.ZodType).safeParse(written, { reportInput: true });
    if (result.success) {
      found.set(kind, [...(found.get(kind) ?? []), { value: result.data, locate }]);
    } else {
      problems.push(...problemsOf(result.error, jsonSchemaOf(kind)).map((problem) => placed(problem, locate)));
    }
  }
  if (problems.length > 0) {
    throw new InputError(problems);
  }
  return found;
}

function kindOf(written: unknown): Kind | undefined {
  const kind: unknown = typeof written === "object" && written !== null && "kind" in written ? written.kind : undefined;
  return typeof kind === "string" && Object.hasOwn(schemas, kind) ? (kind as Kind) : undefined;
}

function unknownKind(written: unknown, locate: Locate): Problem {
  const kind = JSON.stringify((written as { readonly kind?: unknown }).kind) ?? "nothing";
  const at = locate(["kind"]);
  return {
    ...(at === undefined ? {} : { at }),
    path: "kind",
    rule: `${kind} is none of the kinds that are read.`,
    fix: `Write Network or Simulation, of ${keramikVersion}.`,
  };
}

function placed({ segments, ...problem }: Problem & { readonly segments: Path }, locate: Locate): Problem {
  const at = locate(segments);
  return { ...(at === undefined ? {} : { at }), ...problem };
}

const jsonSchemas = new Map<Kind, Readonly<Record<string, unknown>>>();

/** For the names of the keys that are known at a place. */
function jsonSchemaOf(kind: Kind): Readonly<Record<string, unknown>> {
  const known = jsonSchemas.get(kind) ?? z.toJSONSchema(schemas[kind], { io: "input", unrepresentable: "any" });
  jsonSchemas.set(kind, known);
  return known;
}

function only<T>(documents: Map<Kind, Document<unknown>[]>, kind: Kind, file: string): Document<T> | undefined {
  const [first, second] = documents.get(kind) ?? [];
  if (second !== undefined) {
    const at = second.locate([]) ?? file;
    throw new InputError([{ at, path: "", rule: `it is a second ${kind}.`, fix: "Keep one in each file." }]);
  }
  return first as Document<T> | undefined;
}

/** Sections of an experiment and the fields they were made of. */
const origins: readonly (readonly [RegExp, "network" | "simulation", (...found: string[]) => Path])[] = [
  [/^name$/, "network", () => ["metadata", "name"]],
  [/^network\.groups\[(\d+)\]\.ipfs/, "network", (group) => ["spec", "ceramic", Number(group), "ipfs"]],
  [/^network\.groups\[(\d+)\]\.?(\w*)/, "network", (group, field = "") => ["spec", "ceramic", Number(group), field]],
  [/^network\.(.*)$/, "network", (path = "") => ["spec", ...segmentsOf(path)]],
  [/^workload\.phases/, "simulation", () => ["spec", "runTime"]],
  [/^workload\.(arrival|parameters\.authors)/, "simulation", () => ["spec", "users"]],
  [/^(workload|objectives|observe)/, "simulation", () => ["spec"]],
];

function retell(problem: Problem, network: Document<unknown>, simulation: Document<unknown> | undefined): Problem {
  for (const [pattern, document, path] of origins) {
    const match = pattern.exec(problem.path);
    if (match !== null) {
      const segments = path(...match.slice(1)).filter((segment) => segment !== "");
      const at = (document === "network" ? network : simulation)?.locate(segments);
      const { rule, fix } = problem;
      return {
        ...(at === undefined ? {} : { at }),
        path: pathText(segments),
        rule,
        ...(fix === undefined ? {} : { fix }),
      };
    }
  }
  return problem;
}
