import { z } from "zod";
import { cpuSchema, sizeSchema } from "../units.ts";

const imageSchema = z.string().min(1);
const pullPolicySchema = z
  .enum(["Always", "IfNotPresent", "Never"])
  .default("IfNotPresent")
  .meta({ description: "When the image is pulled." });
const storageSchema = sizeSchema({ min: "64Mi", max: "16Ti" });
const storageClassSchema = z.string().min(1).optional().meta({
  description: "Storage class of the volume instead of the cluster target's.",
});

const environmentSchema = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "that is no name of a variable" }), z.string())
  .default({});

const resourcesSchema = z
  .strictObject({
    cpu: cpuSchema({ min: "10m", max: "64" })
      .optional()
      .meta({ description: "CPU requested.", unit: "cores", examples: ["250m"] }),
    cpuLimit: cpuSchema({ min: "10m", max: "64" })
      .optional()
      .meta({ description: "CPU it may use; by default a core, or twice what it requests.", unit: "cores" }),
    memory: sizeSchema({ min: "32Mi", max: "256Gi" })
      .optional()
      .meta({ description: "Memory requested, and its limit.", unit: "size", examples: ["512Mi"] }),
    ephemeralStorage: sizeSchema({ min: "16Mi", max: "1Ti" })
      .optional()
      .meta({ description: "Disk besides volumes, requested and its limit.", unit: "size" }),
  })
  .refine(({ cpu, cpuLimit }) => cpu === undefined || cpuLimit === undefined || cpu <= cpuLimit, {
    path: ["cpuLimit"],
    error: "it is less than the CPU that is requested; raise it, or lower cpu",
  })
  .default({})
  .meta({ description: "What the container gets; what is left out has a default, and with devMode none." });
export type CeramicResources = z.output<typeof resourcesSchema>;

const common = {
  imagePullPolicy: pullPolicySchema,
  resources: resourcesSchema,
  storage: storageSchema.prefault("1Gi").meta({ description: "Volume with its blocks.", unit: "size" }),
  storageClass: storageClassSchema,
  env: environmentSchema.meta({ description: "Variables of the container, over the predefined ones." }),
};

/** Words of an `ipfs config` line as a shell would take them apart: blanks separate, quotes join. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]+)/g)].map(
    ([, single, double, plain]) => single ?? double?.replace(/\\(.)/g, "$1") ?? plain ?? "",
  );
}

/** A setting of kubo, from a line such as `ipfs config --json Swarm.RelayClient.Enabled false`. */
export interface KuboSetting {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** Reads a line of `commands`; undefined for what is not a setting. */
export function kuboSetting(line: string): KuboSetting | undefined {
  const [program, command, ...rest] = wordsOf(line);
  const flags = rest.filter((word) => word.startsWith("--"));
  const [key, text, more] = rest.filter((word) => !word.startsWith("--"));
  const known = flags.length < 2 && flags.every((flag) => flag === "--json" || flag === "--bool");
  if (program !== "ipfs" || command !== "config" || !known || !key || text === undefined || more !== undefined) {
    return undefined;
  }
  const path = key.split(".");
  if (flags.length === 0) return { path, value: text };
  try {
    return { path, value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

const kuboSchema = z
  .strictObject({
    kind: z.literal("go"),
    image: imageSchema.optional().meta({ description: "Image with kubo instead of the one built here." }),
    ...common,
    commands: z
      .array(
        z.string().refine((line) => kuboSetting(line) !== undefined, {
          error: "write `ipfs config [--json] <key> <value>`; other commands are not run, for there is no shell",
        }),
      )
      .max(64)
      .default([])
      .meta({
        description: "Settings of kubo over the predefined ones, as `ipfs config` takes them.",
        examples: [["ipfs config --json Swarm.RelayClient.Enabled false"]],
      }),
  })
  .meta({ description: "kubo, which speaks pubsub and bitswap." });

const rustSchema = z
  .strictObject({
    kind: z.literal("rust"),
    image: imageSchema.optional().meta({ description: "Image with ceramic-one; the default can only be pulled." }),
    ...common,
    rustLog: z
      .string()
      .default("info,ceramic_one=debug,multipart=error")
      .meta({ description: "What ceramic-one logs: RUST_LOG." }),
    migrationCommand: z
      .array(z.string())
      .default([])
      .meta({ description: "Arguments of `ceramic-one migrations`, run before it starts." }),
  })
  .meta({ description: "ceramic-one, which speaks Recon. Bring your own image; not tried here." });

/** Peers that are alike: one StatefulSet. */
export const ceramicGroupSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/, { error: "a name is 1 to 30 lower-case letters, digits and dashes" })
      .optional()
      .meta({ description: "Name of the group, its pods and its Service; by default ceramic-<n>." }),
    weight: z
      .number()
      .positive()
      .max(1_000_000)
      .default(1)
      .meta({ description: "Share of the replicas: weight by sum, what is left to the heaviest." }),
    image: imageSchema.optional().meta({ description: "Image with js-ceramic instead of the one built here." }),
    imagePullPolicy: pullPolicySchema,
    resources: resourcesSchema,
    storage: storageSchema.prefault("1Gi").meta({ description: "Volume with state and index.", unit: "size" }),
    storageClass: storageClassSchema,
    env: environmentSchema.meta({ description: "Variables of js-ceramic, over the predefined ones." }),
    index: z
      .enum(["sqlite", "postgres"])
      .default("sqlite")
      .meta({ description: "Database of the index: a file, or a PostgreSQL beside each peer." }),
    postgres: z
      .strictObject({
        resources: resourcesSchema,
        storage: storageSchema.prefault("1Gi").meta({ description: "Volume of the database.", unit: "size" }),
      })
      .prefault({})
      .meta({ description: "PostgreSQL beside each peer, where the index is one." }),
    ipfs: z.discriminatedUnion("kind", [kuboSchema, rustSchema]).prefault({ kind: "go" }).meta({
      description: "What stores blocks and talks to the other peers.",
    }),
  })
  .meta({ description: "Peers that are alike." });
export type CeramicGroup = z.output<typeof ceramicGroupSchema>;
