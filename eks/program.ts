import { getAuthorizationTokenOutput } from "@pulumi/aws/ecr/getAuthorizationToken.js";
import { Provider } from "@pulumi/aws/provider.js";
import type { Region } from "@pulumi/aws/types/enums/index.js";
import * as pulumi from "@pulumi/pulumi";
import { readContexts } from "../images/contexts.ts";
import { type ImageSpec, images as table } from "../images/table.ts";
import { EksCluster } from "./cluster.ts";
import { describeCost } from "./cost.ts";
import { PublishedImages } from "./images.ts";
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
const specs: Readonly<Record<string, ImageSpec>> = table;
const names = Object.keys(specs).filter((name) => specs[name]?.internal !== true || name === "base");
const network = new EksNetwork("network", parsed.data, { provider });
const cluster = new EksCluster("cluster", { settings: parsed.data, network, images: names }, { provider });

const { contexts: folder } = parsed.data;
const { repositories } = cluster;
const published =
  folder === undefined
    ? undefined
    : new PublishedImages(
        "images",
        {
          settings: parsed.data,
          repositories,
          login: getAuthorizationTokenOutput({}, { provider }),
          folder,
          contexts: await readContexts(folder),
        },
        { provider },
      );

export const kubeconfig = cluster.kubeconfig;
export const ingress = cluster.ingress;
/** What to give to --image: references with digests of what was pushed. */
export const images = published?.references;
export { repositories };
