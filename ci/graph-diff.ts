import { structuredPatch } from "diff";
import microdiff from "microdiff";
import { stringify } from "yaml";
import type { ResourceChange } from "../schema/preview.ts";
import { type RenderedResource, withoutSecrets } from "../stacks/render.ts";
import { type FieldChange, forcesReplacement } from "./force-new.ts";

/** Kinds whose loss is a loss of data, keys or of everything inside. */
const statefulKinds = new Set([
  "StatefulSet",
  "PersistentVolumeClaim",
  "PersistentVolume",
  "Namespace",
  "Secret",
  "StorageClass",
]);
const longestDiff = 20_000; // characters of one resource

/**
 * What it takes to get from one graph to another, resource by resource in the order of the newer one, deletions last.
 * Resources are the same when their URNs are: type, parents' types and name.
 */
export function diffGraphs(
  before: readonly RenderedResource[],
  after: readonly RenderedResource[],
): readonly ResourceChange[] {
  const old = new Map(custom(before).map((resource) => [resource.urn, resource]));
  const current = custom(after);
  const kept = new Set(current.map((resource) => resource.urn));
  const gone = custom(before).filter((resource) => !kept.has(resource.urn));
  return [
    ...current.flatMap((resource) => difference(old.get(resource.urn), resource)),
    ...gone.map((resource) => changeOf("delete", resource, undefined, [])),
  ];
}

const custom = (graph: readonly RenderedResource[]) =>
  graph.filter((resource) => resource.custom && !resource.type.startsWith("pulumi:providers:"));

function difference(before: RenderedResource | undefined, after: RenderedResource): ResourceChange[] {
  if (before === undefined) {
    return [changeOf("create", undefined, after, [])];
  }
  const changed: FieldChange[] = microdiff({ ...before.inputs }, { ...after.inputs }).map((one) =>
    one.type === "REMOVE" ? { path: one.path } : { path: one.path, after: one.value },
  );
  if (changed.length === 0) {
    return [];
  }
  const fixed = changed.filter((change) => forcesReplacement(after.inputs, change)).map(({ path }) => path.join("."));
  return [changeOf(fixed.length > 0 ? "replace" : "update", before, after, [...new Set(fixed)])];
}

/** One change as people read it; at least one of the two states is there. */
export function changeOf(
  kind: ResourceChange["kind"],
  before: RenderedResource | undefined,
  after: RenderedResource | undefined,
  because: readonly string[],
): ResourceChange {
  const resource = (after ?? before) as RenderedResource;
  return { ...named(resource), kind, because: because.slice(0, 50), diff: patch(text(before), text(after)) };
}

function named({ type, name, inputs }: RenderedResource): Pick<ResourceChange, "type" | "name" | "stateful"> {
  const metadata = inputs.metadata;
  const given = typeof metadata === "object" && metadata !== null && "name" in metadata ? String(metadata.name) : name;
  return { type, name: given, stateful: statefulKinds.has(String(inputs.kind)) };
}

const text = (resource: RenderedResource | undefined) =>
  resource === undefined
    ? ""
    : stringify(withoutSecrets(resource), { sortMapEntries: true, aliasDuplicateObjects: false });

/** Unified difference without file names, cut at a line. */
function patch(before: string, after: string): string {
  const { hunks } = structuredPatch("", "", before, after, "", "", { context: 3 });
  const all = hunks
    .flatMap(({ oldStart, newStart, lines }) => [`@@ -${oldStart} +${newStart} @@`, ...lines])
    .filter((line) => !line.startsWith("\\ "))
    .join("\n");
  if (all === "") {
    return "  only secret values change";
  }
  if (all.length <= longestDiff) {
    return all;
  }
  const end = all.lastIndexOf("\n", longestDiff);
  return `${all.slice(0, end)}\n… ${all.slice(end).split("\n").length - 1} more lines`;
}
