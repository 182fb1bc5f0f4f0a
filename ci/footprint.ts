import type { Footprint } from "../schema/preview.ts";
import type { RenderedResource } from "../stacks/render.ts";
import { claimSize, needsOf } from "../targets/needs.ts";

/** What the Kubernetes objects of a graph request once all of them run. */
export function footprintOf(graph: readonly RenderedResource[]): Footprint {
  const objects = graph.filter((resource) => resource.type.startsWith("kubernetes:"));
  const { pods } = needsOf(objects);
  const claims = objects.filter(({ inputs }) => inputs.kind === "PersistentVolumeClaim");
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    objects: objects.length,
    pods: pods.length,
    cpu: sum(pods.map((pod) => pod.cpu)),
    memory: sum(pods.map((pod) => pod.memory)),
    storage: sum([...pods.flatMap((pod) => pod.volumes), ...claims.map(({ inputs }) => claimSize(inputs.spec ?? {}))]),
  };
}
