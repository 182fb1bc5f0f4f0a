import { place } from "../targets/capacity.ts";
import type { Asked } from "../targets/module.ts";
import { type ClusterSettings, clusterSettingsSchema } from "./settings.ts";

/**
 * List prices in US dollars, without tax, discounts and data transfer, from AWS's public price pages:
 * aws.amazon.com/{ec2,eks,vpc,ebs,elasticloadbalancing}/pricing. Other regions are mostly 0 to 30 % dearer. Check them before you rely on them.
 */
export const prices = {
  asOf: "2025-06",
  region: "us-east-1",
  controlPlanePerHour: 0.1,
  natGatewayPerHour: 0.045,
  gp3PerGibMonth: 0.08,
  /** With one capacity unit in use. */
  loadBalancerPerHour: 0.0225 + 0.006,
  instancesPerHour: {
    "t3.large": 0.0832,
    "t3.xlarge": 0.1664,
    "m6i.large": 0.096,
    "m6i.xlarge": 0.192,
    "m6i.2xlarge": 0.384,
    "m7i.large": 0.1008,
    "m7i.xlarge": 0.2016,
    "m7i.2xlarge": 0.4032,
    "m7g.large": 0.0816,
    "m7g.xlarge": 0.1632,
    "m7g.2xlarge": 0.3264,
    "c6i.xlarge": 0.17,
    "c7g.xlarge": 0.145,
  } as Readonly<Record<string, number>>,
} as const;

const hoursPerMonth = 730;

export interface CostLine {
  readonly what: string;
  /** US dollars an hour; absent where the table has no price. */
  readonly perHour?: number;
}

/** What a cluster costs an hour by the price table, line by line. Experiments' volumes come on top. */
export function estimate({ instanceTypes, nodes, disk, ingressAccess }: ClusterSettings): CostLine[] {
  const known = instanceTypes.map((type) => prices.instancesPerHour[type]);
  const dearest = known.some((price) => price === undefined)
    ? undefined
    : Math.max(...known.map((price) => price ?? 0));
  return [
    { what: "control plane", perHour: prices.controlPlanePerHour },
    { what: "NAT gateway", perHour: prices.natGatewayPerHour },
    {
      what: `${nodes} nodes ${instanceTypes.join(" or ")}`,
      ...(dearest === undefined ? {} : { perHour: nodes * dearest }),
    },
    ...(ingressAccess.length > 0 ? [{ what: "load balancer", perHour: prices.loadBalancerPerHour }] : []),
    { what: `${nodes} disks of ${disk} GiB`, perHour: (nodes * disk * prices.gp3PerGibMonth) / hoursPerMonth },
  ];
}

/**
 * What pods find on a node of the default type, m7i.xlarge: 4 cores and 16 GiB less what Amazon's node image reserves
 * (80m of CPU, 255 MiB and 11 MiB for each of 58 pods, 100 MiB kept free) and what EKS runs on every node.
 */
const nodeRoom = { cpu: 3.7, memory: (16 * 1024 - 255 - 11 * 58 - 100 - 300) * 2 ** 20, pods: 54 };

/**
 * US dollars an hour of a cluster with default settings, made for one stack alone: as many nodes as its pods need, at
 * least the default number, and its volumes.
 */
export function stackCost({ pods, storage }: Asked): number {
  const settings = clusterSettingsSchema.parse({ region: prices.region, owner: "estimate", ttl: "1h" });
  const nodes = Math.max(settings.nodes, nodesFor(pods));
  const cluster = estimate({ ...settings, nodes }).reduce((sum, line) => sum + (line.perHour ?? 0), 0);
  return cluster + ((storage / 2 ** 30) * prices.gp3PerGibMonth) / hoursPerMonth;
}

/** The least number of nodes that hold these pods; a pod that is larger than a node counts as one. */
function nodesFor(pods: Asked["pods"]): number {
  for (let count = 1; count < pods.length; count += 1) {
    const nodes = Array.from({ length: count }, (_, index) => ({ name: String(index), ...nodeRoom }));
    if (place(pods, nodes).unplaced.length === 0) return count;
  }
  return pods.length;
}

/** The estimate as one line for people. */
export function describeCost(settings: ClusterSettings): string {
  const lines = estimate(settings);
  const sum = lines.reduce((all, line) => all + (line.perHour ?? 0), 0);
  const unknown = lines.filter((line) => line.perHour === undefined).map((line) => line.what);
  const parts = lines.map((line) => `${line.what} ${line.perHour === undefined ? "?" : `$${line.perHour.toFixed(3)}`}`);
  const without = unknown.length === 0 ? "" : ` without ${unknown.join(", ")}, whose price is not in eks/cost.ts`;
  return (
    `estimate: $${sum.toFixed(2)} an hour${without} (${parts.join(", ")}); list prices of ${prices.region}, ` +
    `${prices.asOf}, before data transfer, load balancers and volumes; tagged to live ${settings.ttl}`
  );
}
