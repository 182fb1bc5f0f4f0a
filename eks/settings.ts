import { z } from "zod";

const cidr = z.string().regex(/^\d+\.\d+\.\d+\.\d+\/\d+$/, "is not an address range, e.g. 203.0.113.0/24");

/** What an EKS cluster of ours can be told; the object `orrery-eks:cluster` of the stack's configuration. */
export const clusterSettingsSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,38}$/)
      .default("orrery"),
    region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/),
    /** Letters of the availability zones; EKS wants at least two. */
    zones: z
      .array(z.string().regex(/^[a-f]$/))
      .min(2)
      .max(3)
      .default(["a", "b"]),
    kubernetes: z
      .string()
      .regex(/^1\.\d+$/)
      .default("1.34"),
    /** One architecture: types of Graviton processors (`m7g`) and others cannot be mixed. */
    instanceTypes: z
      .array(z.string().regex(/^[a-z0-9-]+\.[a-z0-9]+$/))
      .min(1)
      .default(["m7i.xlarge"]),
    nodes: z.int().min(1).max(100).default(3),
    /** GiB of each node's encrypted disk. */
    disk: z.int().min(20).max(1000).default(50),
    /** Who answers for the cost; a tag on everything. */
    owner: z.string().min(1),
    /** How long it is meant to live, e.g. `8h`; a tag on everything, for whoever sweeps the account. */
    ttl: z.string().regex(/^\d+[hd]$/, "is not a time to live, e.g. 8h or 2d"),
    /** Address ranges that may reach the API server; with none it answers inside the VPC only. */
    apiAccess: z.array(cidr.refine((range) => !range.endsWith("/0"), "opens the API server to everybody")).default([]),
    /** Address ranges that may reach web apps, through an ingress controller; with none there is no such controller. */
    ingressAccess: z.array(cidr.refine((range) => !range.endsWith("/0"), "opens web apps to everybody")).default([]),
    /** Folder that `orrery images context` wrote; its images are built and pushed to the cluster's repositories. */
    contexts: z.string().min(1).optional(),
  })
  .refine(({ instanceTypes }) => new Set(instanceTypes.map(architectureOf)).size === 1, {
    path: ["instanceTypes"],
    error: "mixes processor architectures",
  });

export type ClusterSettings = z.output<typeof clusterSettingsSchema>;

/** Architecture of an instance type: families of Graviton processors have a `g` after their generation. */
export function architectureOf(instanceType: string): "amd64" | "arm64" {
  return /^(a1|[a-z]+\d+g)/.test(instanceType) ? "arm64" : "amd64";
}

/** Tags of everything: who pays, until when, and what made it. */
export function tagsOf({ name, owner, ttl }: ClusterSettings): Record<string, string> {
  return {
    "orrery.dev/cluster": name,
    "orrery.dev/owner": owner,
    "orrery.dev/ttl": ttl,
    "app.kubernetes.io/managed-by": "orrery",
  };
}
