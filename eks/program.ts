import { Provider } from "@pulumi/aws/provider.js";
import type { Region } from "@pulumi/aws/types/enums/index.js";
import * as pulumi from "@pulumi/pulumi";
import { type ImageSpec, images } from "../images/table.ts";
import { EksCluster } from "./cluster.ts";
import { describeCost } from "./cost.ts";
import { EksNetwork } from "./network.ts";
import { clusterSettingsSchema, tagsOf } from "./settings.ts";

/** The Pulumi program of the cluster stack: one EKS cluster, by `orrery-eks:cluster` of the stack's configuration. */
const parsed = clusterSettingsSchema.safeParse(new pulumi.Config("orrery-eks").requireObject("cluster"));
if (!parsed.success) {
  const problems = parsed.error.issues.map((issue) => `orrery-eks:cluster.${issue.path.join(".")}: ${issue.message}`);
  throw new pulumi.RunError(problems.join("\n"));
}

await pulumi.log.info(describeCost(parsed.data));
const provider = new Provider("aws", {
  region: parsed.data.region as Region,
  defaultTags: { tags: tagsOf(parsed.data) }, // on everything that can carry tags
});
const table: Readonly<Record<string, ImageSpec>> = images;
const names = Object.keys(table).filter((name) => table[name]?.internal !== true);
const network = new EksNetwork("network", parsed.data, { provider });
const cluster = new EksCluster("cluster", { settings: parsed.data, network, images: names }, { provider });

export const kubeconfig = cluster.kubeconfig;
export const repositories = cluster.repositories;
