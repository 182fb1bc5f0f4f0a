import { z } from "zod";
import { networkSpecs } from "./network.ts";
import { keramikVersion } from "./parts.ts";
import { simulationSpecs } from "./simulation.ts";

/** Which way of writing a CRD lets through; a field that has two shapes is open in `both`. */
export const spellings = ["both", "today", "seed"] as const;
export type Spelling = (typeof spellings)[number];

type Node = Readonly<Record<string, unknown>>;

interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly scope: "Cluster" | "Namespaced";
  readonly spec: z.ZodType;
}

/** CustomResourceDefinitions (apiextensions.k8s.io/v1) of Keramik's Network and Simulation, made from their schemas. */
export function customResourceDefinitions(spelling: Spelling): Node[] {
  return [
    definition({ kind: "Network", plural: "networks", scope: "Cluster", spec: networkSpecs[spelling] }),
    definition({ kind: "Simulation", plural: "simulations", scope: "Namespaced", spec: simulationSpecs[spelling] }),
  ];
}

function definition({ kind, plural, scope, spec }: Kind): Node {
  const [group = "", version = ""] = keramikVersion.split("/");
  const status = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      scope,
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: {
              type: "object",
              required: ["spec"],
              properties: { spec: structural(z.toJSONSchema(spec, { io: "input" })), status },
            },
          },
        },
      ],
    },
  };
}

/** Keywords of JSON Schema that a structural schema of Kubernetes knows with the same meaning. */
const kept = [
  "type",
  "description",
  "enum",
  "required",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "pattern",
  "x-kubernetes-int-or-string",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-validations",
];

/**
 * A JSON Schema as a structural schema of Kubernetes: no alternatives but number-or-text, and nothing about unknown
 * fields, which the API server refuses (strict validation) or drops by itself.
 *
 * @throws Error where a schema has alternatives that cannot be said; a defect of the schemas here.
 */
function structural(schema: unknown): Node {
  const node = schema as Node;
  const own = Object.fromEntries(kept.filter((key) => key in node).map((key) => [key, node[key]]));
  if (node["x-kubernetes-int-or-string"] === true || node["x-kubernetes-preserve-unknown-fields"] === true) {
    return own;
  }
  if (node.anyOf !== undefined || node.oneOf !== undefined || node.allOf !== undefined) {
    throw new Error(`a CRD cannot have the alternatives ${JSON.stringify(schema)}`);
  }
  const { properties, items, additionalProperties } = node;
  return {
    ...own,
    ...(properties === undefined ? {} : { properties: mapValues(properties as Node, structural) }),
    ...(items === undefined ? {} : { items: structural(items) }),
    ...(typeof additionalProperties === "object" ? { additionalProperties: structural(additionalProperties) } : {}),
  };
}

function mapValues(node: Node, change: (value: unknown) => unknown): Node {
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, change(value)]));
}
