import type { Footprint } from "../schema/preview.ts";
import type { RenderedResource } from "../stacks/render.ts";
import { needsOf } from "../targets/needs.ts";

/** What the Kubernetes objects of a graph request once all of them run. */
export function footprintOf(graph: readonly RenderedResource[]): Footprint {
  const objects = graph.filter((resource) => resource.type.startsWith("kubernetes:"));
  const { pods, volumes } = needsOf(objects);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    objects: objects.length,
    pods: pods.length,
    cpu: sum(pods.map((pod) => pod.cpu)),
    memory: sum(pods.map((pod) => pod.memory)),
    storage: sum(volumes),
  };
}
