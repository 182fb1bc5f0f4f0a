import { isDeepStrictEqual } from "node:util";
import { EnvironmentError } from "../schema/errors.ts";
import type { RenderedResource } from "../stacks/render.ts";

/** A place in the graph of another target that is not as on local: one leaf, or a whole resource that is not there. */
export interface Difference {
  /** Name of the resource with the keys and positions below it, joined by dots; of a whole resource its URN. */
  readonly at: string;
  readonly local: unknown;
  readonly here: unknown;
}

const absent = "(absent)";
const whole = "(the resource)";

/**
 * What is different on another target. Every resource there is one on local.
 *
 * @throws Error when there is a resource that local has not
 */
export function targetDifferences(
  local: readonly RenderedResource[],
  here: readonly RenderedResource[],
): readonly Difference[] {
  const there = new Map(here.map((resource) => [resource.urn, resource]));
  const found = local.flatMap((resource) => {
    const other = there.get(resource.urn);
    if (!there.delete(resource.urn)) return [{ at: resource.urn, local: whole, here: absent }];
    return leaves(resource, other, resource.name);
  });
  const [only] = there.keys();
  if (only !== undefined) throw new Error(`${only} is not there on local`);
  return found;
}

function leaves(local: unknown, here: unknown, at: string): Difference[] {
  if (isDeepStrictEqual(local, here)) return [];
  if (typeof local !== "object" || typeof here !== "object" || local === null || here === null) {
    return [{ at, local: local ?? absent, here: here ?? absent }];
  }
  const keys = [...new Set([...Object.keys(local), ...Object.keys(here)])].sort();
  const child = (value: object, key: string): unknown => (value as Record<string, unknown>)[key];
  return keys.flatMap((key) => leaves(child(local, key), child(here, key), `${at}.${key}`));
}

/**
 * The graph of another target, from that of local and what {@link targetDifferences} found.
 *
 * @throws EnvironmentError for a difference that does not belong to the graph
 */
export function withDifferences(
  local: readonly RenderedResource[],
  differences: readonly Difference[],
): readonly RenderedResource[] {
  const gone = new Set(differences.filter((one) => one.local === whole).map(({ at }) => at));
  const graph = structuredClone(local.filter(({ urn }) => !gone.has(urn)));
  for (const difference of differences.filter((one) => one.local !== whole)) {
    if (!graph.some((resource) => change(resource, difference))) {
      throw new EnvironmentError(
        `The recorded difference at ${difference.at} is of another graph than the one recorded for local.`,
        "Record both anew: npx vitest run --project unit test/golden -u",
      );
    }
  }
  return withoutHoles(graph) as RenderedResource[];
}

type Tree = Record<string, unknown>;

/** Puts one leaf in; false where the resource has no such place. */
function change(resource: RenderedResource, { at, local, here }: Difference): boolean {
  if (!at.startsWith(`${resource.name}.`)) return false;
  const found = placeOf(resource as unknown as Tree, at.slice(resource.name.length + 1), local);
  if (found === undefined) return false;
  found.parent[found.key] = here === absent ? undefined : here;
  return true;
}

/** Keys hold dots too, so the way is searched: the place must hold what it held on local. */
function placeOf(parent: Tree, path: string, local: unknown): { parent: Tree; key: string } | undefined {
  for (const [key, child] of Object.entries(parent)) {
    if (!path.startsWith(`${key}.`) || typeof child !== "object" || child === null) continue;
    const found = placeOf(child as Tree, path.slice(key.length + 1), local);
    if (found !== undefined) return found;
  }
  return isDeepStrictEqual(parent[path] ?? absent, local) ? { parent, key: path } : undefined;
}

/** Without what was taken out: keys whose value is undefined, and such elements of lists. */
function withoutHoles(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== undefined).map(withoutHoles);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutHoles(item)]));
}
