import type { RenderedResource } from "../stacks/render.ts";

/** The resources as an indented tree by component. */
export function planText(resources: readonly RenderedResource[]): string {
  const lines = resources
    .filter((resource) => !resource.type.startsWith("pulumi:providers:"))
    .map((resource) =>
      resource.custom
        ? `    + ${shortType(resource.type)}  ${objectName(resource)}`
        : `  ${resource.name}  ${resource.type}`,
    );
  const objects = resources.filter((resource) => resource.type.startsWith("kubernetes:")).length;
  return [...lines, `  ${objects} Kubernetes objects`].join("\n");
}

const shortType = (type: string) => type.replace(/^kubernetes:/, "").replace(":", " ");

function objectName({ inputs, name }: RenderedResource): string {
  const metadata = inputs.metadata;
  return typeof metadata === "object" && metadata !== null && "name" in metadata ? String(metadata.name) : name;
}
