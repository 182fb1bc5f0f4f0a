import { z } from "zod";

/** The cluster that Keramik's README makes with kind; a cluster target's business here, so it is read and left at that. */
export const kindClusterSchema = z.strictObject({
  apiVersion: z.literal("kind.x-k8s.io/v1alpha4"),
  kind: z.literal("Cluster"),
  name: z.string().optional(),
  featureGates: z.record(z.string(), z.boolean()).optional(),
  nodes: z.array(z.unknown()).optional(),
  networking: z.unknown().optional(),
});
