import type { RenderedResource } from "../../stacks/render.ts";

/** The Kubernetes objects of a graph, keyed `Kind name`. */
export function objectsOf(graph: readonly RenderedResource[]): Map<string, Record<string, unknown>> {
  const objects = graph.filter((resource) => resource.type.startsWith("kubernetes:"));
  return new Map(
    objects.map(({ inputs }) => {
      const metadata = inputs.metadata as { readonly name?: string } | undefined;
      return [`${String(inputs.kind)} ${metadata?.name ?? "(auto-named)"}`, { ...inputs }];
    }),
  );
}
