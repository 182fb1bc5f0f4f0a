import { readFileSync } from "node:fs";
import { z } from "zod";

/** Fields that Kubernetes does not change in place; the same file the Kubernetes plugin of `local/plugin` reads. */
const tableSchema = z.array(
  z.strictObject({
    group: z.string(),
    versions: z.array(z.string()),
    kinds: z.array(z.string()),
    /** Paths; `*` stands for every element of a list. */
    fields: z.array(z.string()),
  }),
);

const table = tableSchema.parse(
  JSON.parse(readFileSync(new URL("../local/plugin/forcenew.json", import.meta.url), "utf8")),
);

/** A changed place in an object: keys and list positions from the top. */
export interface FieldChange {
  readonly path: readonly (string | number)[];
  /** The new value; absent where the field goes away. */
  readonly after?: unknown;
}

/**
 * Whether a change of a Kubernetes object means a new object: it lies at or below a field that is fixed at creation,
 * or it sets a subtree that holds one. Every cluster target lets ConfigMaps change in place unless they are immutable.
 *
 * @param inputs the object's new inputs
 */
export function forcesReplacement(inputs: Readonly<Record<string, unknown>>, change: FieldChange): boolean {
  return fixedFields(inputs).some((field) => touches(change, field));
}

function fixedFields(inputs: Readonly<Record<string, unknown>>): string[][] {
  const [group, version] = groupAndVersion(String(inputs.apiVersion ?? ""));
  const kind = String(inputs.kind ?? "");
  const identity = ["metadata.name", "metadata.namespace"];
  const changesInPlace = kind === "ConfigMap" && group === "" && inputs.immutable !== true;
  const rules = changesInPlace
    ? []
    : table.filter((row) => row.group === group && row.versions.includes(version) && row.kinds.includes(kind));
  return [...identity, ...rules.flatMap((row) => row.fields)].map((field) => field.split("."));
}

function groupAndVersion(apiVersion: string): [string, string] {
  const [first = "", second] = apiVersion.split("/");
  return second === undefined ? ["", first] : [first, second];
}

function touches({ path, after }: FieldChange, field: readonly string[]): boolean {
  const shared = Math.min(path.length, field.length);
  for (let at = 0; at < shared; at += 1) {
    if (field[at] !== "*" && field[at] !== String(path[at])) {
      return false;
    }
  }
  return path.length >= field.length || holds(after, field.slice(path.length));
}

function holds(value: unknown, [first, ...rest]: readonly string[]): boolean {
  if (first === undefined) {
    return true;
  }
  if (Array.isArray(value)) {
    return first === "*" && value.some((element) => holds(element, rest));
  }
  return typeof value === "object" && value !== null && first in value
    ? holds((value as Record<string, unknown>)[first], rest)
    : false;
}
