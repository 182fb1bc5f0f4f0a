import { z } from "zod";
import { bootstrap, cas, ceramicSpec, keramikVersion, metadata, nodeSelectorTerm } from "./parts.ts";

/** Keramik's `Network.spec`. `ceramic` is a list today, and was one object. */
const networkFields = {
  replicas: z.int().min(1).max(1_000).meta({ description: "Peers altogether.", unit: "pods" }),
  bootstrap: bootstrap.optional(),
  privateKeySecret: z.string().min(1).optional(),
  networkType: z.enum(["mainnet", "testnet-clay", "dev-unstable", "local", "inmemory"]).optional(),
  ethRpcUrl: z.string().optional(),
  casApiUrl: z.string().optional(),
  cas: cas.optional(),
  datadog: z
    .strictObject({
      enabled: z.boolean().optional(),
      version: z.string().optional(),
      profilingEnabled: z.boolean().optional(),
    })
    .optional(),
  ttlSeconds: z.int().min(0).optional(),
  devMode: z.boolean().optional(),
  debugMode: z.boolean().optional(),
  monitoring: z
    .strictObject({
      namespaced: z.boolean().optional(),
      podMonitor: z
        .strictObject({ enabled: z.boolean().optional(), podTargetLabels: z.array(z.string()).optional() })
        .optional(),
    })
    .optional(),
  nodeSelectorTerms: z.array(nodeSelectorTerm).optional(),
};

const groups = z.array(ceramicSpec).max(10);

/** `Network.spec` by spelling: as it is written today, as the seed document writes it, and both. */
export const networkSpecs = {
  today: z.strictObject({ ...networkFields, ceramic: groups.optional() }),
  seed: z.strictObject({ ...networkFields, ceramic: ceramicSpec.optional() }),
  both: z.strictObject({
    ...networkFields,
    ceramic: z
      .union([groups, ceramicSpec])
      .optional()
      .meta({ description: "Groups of peers: a list, or one group.", "x-kubernetes-preserve-unknown-fields": true }),
  }),
};

export const networkSchema = z.strictObject({
  apiVersion: z.literal(keramikVersion),
  kind: z.literal("Network"),
  metadata,
  spec: networkSpecs.both,
  status: z.unknown().optional(),
});

export type KeramikNetwork = z.output<typeof networkSchema>;
export type KeramikGroup = z.output<typeof ceramicSpec>;
