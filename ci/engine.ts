import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import type { ResourceChange } from "../schema/preview.ts";
import type { RenderedResource } from "../stacks/render.ts";
import { changeOf } from "./graph-diff.ts";

type Step = NonNullable<EngineEvent["resourcePreEvent"]>["metadata"];

/** Steps of the engine that are changes; a replacement's two halves are left out, its `replace` step is not. */
const kinds: Readonly<Record<string, ResourceChange["kind"]>> = {
  create: "create",
  update: "update",
  replace: "replace",
  delete: "delete",
};

/** What `pulumi preview` said it would do, from the engine's events. Secret values arrive masked. */
export function engineChanges(events: readonly EngineEvent[]): ResourceChange[] {
  return events.flatMap(({ resourcePreEvent }) => {
    const step = resourcePreEvent?.metadata;
    const kind = step === undefined ? undefined : kinds[step.op];
    if (step === undefined || kind === undefined || !isProviderResource(step)) {
      return [];
    }
    const because = kind === "replace" ? forcedBy(step) : [];
    return [changeOf(kind, stateOf(step, step.old?.inputs), stateOf(step, step.new?.inputs), because)];
  });
}

const isProviderResource = ({ type }: Step) => type.includes(":") && !/^(pulumi|orrery):/.test(type);

function forcedBy(step: Step): string[] {
  const detailed = Object.entries(step.detailedDiff ?? {})
    .filter(([, { diffKind }]) => diffKind.endsWith("-replace"))
    .map(([path]) => path);
  return detailed.length > 0 ? detailed : (step.keys ?? []);
}

function stateOf(step: Step, inputs: unknown): RenderedResource | undefined {
  if (typeof inputs !== "object" || inputs === null) {
    return undefined;
  }
  const name = step.urn.split("::").at(-1) ?? step.urn;
  return {
    type: step.type,
    name,
    urn: step.urn,
    custom: true,
    inputs: withoutDefaults(inputs) as RenderedResource["inputs"],
    secrets: [],
  };
}

/** The engine's own remarks on which values are defaults are no part of the inputs. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(withoutDefaults);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "__defaults")
      .map(([key, item]) => [key, withoutDefaults(item)]),
  );
}
