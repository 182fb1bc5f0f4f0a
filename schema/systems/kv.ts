import { z } from "zod";
import { cpuSchema, durationSchema, sizeSchema } from "../units.ts";
import { defineSystem } from "./system.ts";

/** A replicated key-value store: OmniPaxos over persistent logs, every member accepts every request. */
export const kv = defineSystem({
  system: "kv",
  roles: ["leader", "follower"],
  operations: ["put", "get", "get_local", "delete"],
  writes: ["put", "delete"],
  network: z
    .strictObject({
      system: z.literal("kv"),
      replicas: z.int().min(2).max(9).default(3).meta({
        description: "Members of the consensus group; odd counts tolerate more for their size.",
        unit: "pods",
      }),
      storage: sizeSchema({ min: "64Mi", max: "1Ti" })
        .prefault("1Gi")
        .meta({ description: "Volume of each member.", unit: "size", examples: ["1Gi"] }),
      cpu: cpuSchema({ min: "50m", max: "64" })
        .prefault("250m")
        .meta({
          description: "CPU requested by each member; it may use twice that.",
          unit: "cores",
          examples: ["250m"],
        }),
      memory: sizeSchema({ min: "64Mi", max: "256Gi" })
        .prefault("256Mi")
        .meta({ description: "Memory requested by, and limit of, each member.", unit: "size", examples: ["256Mi"] }),
      image: z
        .string()
        .min(1)
        .optional()
        .meta({
          description: "Image of the members instead of the one built here.",
          examples: ["registry.example/kv@sha256:…"],
        }),
      electionTimeout: durationSchema({ min: "50ms", max: "60s" })
        .prefault("500ms")
        .meta({ description: "Silence after which another member tries to lead.", unit: "duration" }),
      snapshotEvery: z.int().min(5).max(10_000_000).default(10_000).meta({
        description: "Decided entries between two snapshots; the log before one is trimmed.",
        unit: "entries",
      }),
    })
    .meta({ description: "A replicated key-value store over OmniPaxos." }),
  parameters: z
    .strictObject({
      keys: z
        .int()
        .min(1)
        .max(10_000_000)
        .default(1_000)
        .meta({ description: "Distinct keys of each worker; workers never share keys.", unit: "keys" }),
      valueSize: sizeSchema({ min: "8B", max: "1Mi" })
        .prefault("128B")
        .meta({ description: "Size of each value.", unit: "size", examples: ["128B"] }),
      distribution: z
        .enum(["uniform", "zipfian"])
        .default("uniform")
        .meta({ description: "How keys are chosen; zipfian with exponent 0.99, as in YCSB." }),
    })
    .prefault({})
    .meta({ description: "What the driver reads and writes." }),
  members: ({ replicas }) => replicas,
  images: (network) => (network.image === undefined ? ["kv"] : []),
  problems: () => [],
  warnings: (network) =>
    network.replicas % 2 === 0
      ? [
          {
            path: "network.replicas",
            rule: `${network.replicas} members tolerate no more failures than ${network.replicas - 1}.`,
            fix: `Use ${network.replicas - 1} or ${network.replicas + 1}.`,
          },
        ]
      : [],
});
