import { z } from "zod";

/**
 * What drivers do to a Ceramic network.
 *
 * `create` makes a document, `update` changes one, `read` gets one, `query` asks a peer's index for documents and checks
 * the answer, `index_model` makes a model and has its peer index it, `ipfs_put` and `ipfs_get` go to the peer's IPFS RPC,
 * `recon_event` hands an event to ceramic-one.
 */
export const ceramicOperations = [
  "create",
  "update",
  "read",
  "query",
  "index_model",
  "ipfs_put",
  "ipfs_get",
  "recon_event",
] as const;

/** Of these, the ones whose effect the others come to see. */
export const ceramicWrites: readonly string[] = ["create", "update", "recon_event"];

/** Shapes of documents: a few numbers, a few words, about 1 kB of letters. */
export const documentShapes = ["small", "large", "kilobyte"] as const;
export type DocumentShape = (typeof documentShapes)[number];

/** The `workload.parameters` section of a Ceramic experiment. */
export const ceramicParameters = z
  .strictObject({
    authors: z.int().min(1).max(10_000).default(10).meta({
      description: "Writers of each worker; an operation takes a free one, and waits where none is.",
      unit: "authors",
    }),
    did: z
      .enum(["author", "shared"])
      .default("author")
      .meta({ description: "Who signs: each author with a key of its own, or all with the network's admin key." }),
    shapes: z
      .array(z.enum(documentShapes))
      .min(1)
      .max(3)
      .default(["small", "large"])
      .meta({ description: "Shapes of documents; one is drawn for each operation.", examples: [["small"]] }),
    model: z
      .enum(["shared", "author"])
      .default("shared")
      .meta({ description: "Whether all documents of a shape are of one model, or each author has its own." }),
    documents: z.int().min(0).max(100).default(1).meta({
      description: "Documents that each author has of each shape before the load begins.",
      unit: "documents",
    }),
    peers: z.enum(["spread", "worker", "first"]).default("spread").meta({
      description:
        "Peer an author talks to: authors spread over all, all of one worker at the peer of its number, or all at the first.",
    }),
    anchors: z
      .strictObject({
        wait: z
          .int()
          .min(0)
          .max(86_400)
          .meta({
            description: "Longest time after the load until anchors are to be there.",
            unit: "seconds",
            examples: [120],
          }),
      })
      .optional()
      .meta({ description: "After the load, look whether a sample of the new documents is there and anchored." }),
  })
  .prefault({})
  .meta({ description: "What authors write." });

type Parameters = z.input<typeof ceramicParameters>;

/** What one of Keramik's scenarios is in an experiment. */
export interface CeramicScenario {
  readonly operations: Readonly<Partial<Record<(typeof ceramicOperations)[number], number>>>;
  readonly parameters: Readonly<NonNullable<Parameters>>;
  /** Only the first worker acts; else there is one for each peer. */
  readonly lead?: true;
  /** Events per second that every peer has to gain, unless the Simulation says otherwise. */
  readonly target?: number;
}

/** Keramik's scenarios by the names its `Simulation` knows them by. */
export const ceramicScenarios = {
  "ceramic-simple": {
    operations: { update: 1, read: 1 },
    parameters: { did: "shared", model: "author", shapes: ["small", "large"], documents: 1, peers: "worker" },
  },
  "ceramic-write-only": {
    operations: { update: 1 },
    parameters: { did: "author", model: "shared", shapes: ["small", "large"], documents: 1, peers: "worker" },
  },
  "ceramic-model-reuse": {
    operations: { update: 1, read: 1 },
    parameters: { did: "author", model: "shared", shapes: ["small", "large"], documents: 1, peers: "worker" },
  },
  "ceramic-query": {
    operations: { query: 2, update: 1 },
    parameters: { did: "shared", model: "author", shapes: ["large"], documents: 3, peers: "worker" },
  },
  "ceramic-new-streams": {
    operations: { create: 1 },
    parameters: { did: "author", model: "author", shapes: ["small", "large"], documents: 0, peers: "worker" },
  },
  "ceramic-new-streams-benchmark": {
    operations: { create: 1 },
    parameters: { did: "author", model: "shared", shapes: ["kilobyte"], documents: 0, peers: "first" },
    lead: true,
    target: 300,
  },
  "ceramic-anchoring-benchmark": {
    operations: { create: 1 },
    parameters: { did: "author", model: "shared", shapes: ["small"], documents: 0, peers: "first" },
    lead: true,
  },
  "ipfs-rpc": {
    operations: { ipfs_get: 1 },
    parameters: { documents: 0, peers: "worker" },
  },
  "recon-event-sync": {
    operations: { recon_event: 1 },
    parameters: { did: "author", model: "shared", shapes: ["kilobyte"], documents: 0, peers: "first" },
    lead: true,
    target: 300,
  },
} as const satisfies Record<string, CeramicScenario>;

export type CeramicScenarioName = keyof typeof ceramicScenarios;
