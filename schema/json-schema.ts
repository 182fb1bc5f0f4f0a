import { z } from "zod";
import { experimentSchemas } from "./experiment.ts";

type Node = Readonly<Record<string, unknown>>;

let cached: Node | undefined;

/** JSON Schema (2020-12) of the experiment file as it is written, for editors: one alternative per system. */
export function experimentJsonSchema(): Node {
  cached ??= {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Orrery experiment",
    oneOf: Object.values(experimentSchemas).map((schema) => {
      const { $schema: _version, ...rest } = z.toJSONSchema(schema, { io: "input" });
      return rest;
    }),
  };
  return cached;
}

/** Names of the properties the schema knows at a path, over all alternatives; for messages. */
export function keysAt(schema: Node, path: readonly PropertyKey[]): string[] {
  let nodes = alternatives(schema);
  for (const segment of path) {
    nodes = nodes.flatMap((node) => {
      const properties = record(node.properties)[String(segment)];
      const next = typeof segment === "number" ? node.items : (properties ?? node.additionalProperties);
      return isNode(next) ? alternatives(next) : [];
    });
  }
  return [...new Set(nodes.flatMap((node) => Object.keys(record(node.properties))))];
}

function alternatives(node: Node): Node[] {
  const nested = [node.oneOf, node.anyOf, node.allOf].flatMap((list) => (Array.isArray(list) ? list : []));
  return [node, ...nested.filter(isNode).flatMap(alternatives)];
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function record(value: unknown): Node {
  return isNode(value) ? value : {};
}
