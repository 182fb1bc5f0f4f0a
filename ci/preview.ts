import type { Preview, ResourceChange, StackPreview } from "../schema/preview.ts";
import { previewVersion } from "../schema/preview.ts";
import type { RenderedResource } from "../stacks/render.ts";
import type { Asked } from "../targets/module.ts";
import { needsOf } from "../targets/needs.ts";
import { type ChangeSet, changedImages } from "./changes.ts";
import { footprintOf } from "./footprint.ts";
import { diffGraphs } from "./graph-diff.ts";

/** One stack before and after a change. */
export interface StackChange {
  readonly stack: string;
  /** Experiment file, relative to the project. */
  readonly experiment: string;
  readonly target: string;
  /** Graph recorded at the base; absent where the stack is new. */
  readonly before?: readonly RenderedResource[];
  /** Graph of the change; absent where the stack is removed. */
  readonly after?: readonly RenderedResource[];
  /** What the engine says instead of the difference of the graphs. */
  readonly engine?: readonly ResourceChange[];
  /** What it would cost an hour, where the target has a price. */
  readonly costPerHour?: (asked: Asked) => number;
  /** Why there is nothing to compare. */
  readonly error?: string;
}

/** The preview of a pull request: every stack that would change, and the images that would be built anew. */
export function previewOf(changes: ChangeSet, stacks: readonly StackChange[]): Preview {
  const previews = stacks.map(stackPreview);
  const differs = (stack: StackPreview) => stack.changes.length > 0 || stack.error !== undefined;
  return {
    schema: previewVersion,
    base: changes.base,
    head: changes.head,
    stacks: previews.filter(differs),
    unchanged: previews.filter((stack) => !differs(stack)).map(({ stack }) => stack),
    images: changedImages(changes.files),
  };
}

function stackPreview(change: StackChange): StackPreview {
  const { stack, experiment, target, before, after, engine, error, costPerHour } = change;
  const changes = error === undefined ? (engine ?? diffGraphs(before ?? [], after ?? [])) : [];
  return {
    stack,
    experiment,
    target,
    source: engine === undefined ? "graphs" : "engine",
    ...(error === undefined ? {} : { error: error.slice(0, 5_000) }),
    changes: [...changes],
    before: before === undefined ? null : footprintOf(before),
    after: after === undefined ? null : footprintOf(after),
    ...(costPerHour === undefined
      ? {}
      : { costPerHour: { before: costOf(before, costPerHour), after: costOf(after, costPerHour) } }),
  };
}

function costOf(graph: StackChange["before"], costPerHour: (asked: Asked) => number): number | null {
  return graph === undefined ? null : costPerHour({ pods: needsOf(graph).pods, storage: footprintOf(graph).storage });
}
