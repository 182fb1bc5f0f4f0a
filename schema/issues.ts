import type { z } from "zod";
import type { Problem } from "./errors.ts";
import { keysAt } from "./json-schema.ts";

export type Path = readonly PropertyKey[];

type Issue = z.core.$ZodIssue;
/** A problem with the path it is at, which may hold dots. */
export type PlacedProblem = Problem & { readonly segments: Path };

/** What is wrong, a problem each; `jsonSchema` says which keys are known where. */
export function problemsOf(error: z.ZodError, jsonSchema: Readonly<Record<string, unknown>>): PlacedProblem[] {
  return error.issues.flatMap(flattenIssue).map((issue) => problemOf(issue, jsonSchema));
}

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

function problemOf(issue: Issue, jsonSchema: Readonly<Record<string, unknown>>): PlacedProblem {
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    const segments = [...issue.path, key];
    const known = keysAt(jsonSchema, issue.path);
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

/** `workload.faults[0].at`. */
export function pathText(path: Path): string {
  return path
    .map((segment, index) =>
      typeof segment === "number" ? `[${segment}]` : `${index === 0 ? "" : "."}${String(segment)}`,
    )
    .join("");
}

/** The segments of a path as {@link pathText} writes it. */
export function segmentsOf(path: string): Path {
  return path === ""
    ? []
    : path
        .split(/[.[\]]+/)
        .filter((part) => part !== "")
        .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}
