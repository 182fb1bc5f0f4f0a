import type { DocumentShape } from "../../schema/systems/ceramic-workload.ts";
import type { Random } from "../core/random.ts";

/** Content of a document, by field. */
export type Content = Readonly<Record<string, unknown>>;

const text = (length: number) => ({ type: "string", maxLength: length });
const whole = (maximum: number) => ({ type: "integer", minimum: 0, maximum });

const small = { creator: text(80), radius: whole(99), red: whole(254), green: whole(254), blue: whole(254) };
const large = { creator: text(80), name: text(100), description: text(250), tpe: whole(1_000_000) };
/** Properties of each shape, as JSON Schema has them; those of Keramik's models. */
const properties = { small, large, kilobyte: { ...large, name: text(600), description: text(600) } };

/**
 * The definition of a model (stream-model 5.4, version 1.0).
 *
 * @param name Models of the same name, shape and signer are one model.
 */
export function modelDefinition(name: string, shape: DocumentShape): object {
  return {
    name,
    version: "1.0",
    description: `documents of the shape ${shape}`,
    accountRelation: { type: "list" },
    schema: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      additionalProperties: false,
      properties: properties[shape],
      required: Object.keys(properties[shape]),
    },
  };
}

/** Fields a query may ask for, so that peers index them. */
export function indexedFields(shape: DocumentShape): object[] {
  return shape === "small" ? [] : [{ fields: [{ path: ["tpe"] }] }];
}

/**
 * A new document.
 *
 * @param index Which of its author's it is: queries tell them apart by it.
 */
export function newContent(shape: DocumentShape, creator: string, index: number, random: Random): Content {
  switch (shape) {
    case "small":
      return { creator, radius: random.below(100), ...colours(random) };
    case "large":
      return { creator, name: letters(random, 20), description: String(index), tpe: 10 * (index + 1) };
    case "kilobyte":
      return { creator, name: letters(random, 500), description: letters(random, 500), tpe: 10 * (index + 1) };
  }
}

/** A change of some fields, to other values than they have. */
export function change(shape: DocumentShape, content: Content, random: Random): Content {
  if (shape === "small") {
    return { red: (Number(content.red) + 1 + random.below(253)) % 255 };
  }
  const tpe = Number(content.tpe);
  return { tpe: tpe > 0 && random.next() < 0.5 ? tpe - 1 : tpe + 1 };
}

/** The change as a JSON patch. */
export function patchOf(fields: Content): object[] {
  return Object.entries(fields).map(([name, value]) => ({ op: "replace", path: `/${name}`, value }));
}

function colours(random: Random): Content {
  return { red: random.below(255), green: random.below(255), blue: random.below(255) };
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

function letters(random: Random, length: number): string {
  return Array.from({ length }, () => alphabet[random.below(alphabet.length)]).join("");
}
