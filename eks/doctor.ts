import { type Check, doctor } from "../local/toolchain/doctor.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import type { TargetSettings } from "../targets/module.ts";
import { attempt } from "../targets/preflight.ts";
import { callerIdentity, clusterStatus, serviceQuota } from "./aws.ts";

/** This machine, the AWS credentials, and the state of the cluster. */
export async function eksPreflight({ options }: TargetSettings): Promise<readonly Check[]> {
  const machine = await doctor(OrreryHome.fromEnvironment(), { target: "context" });
  const credentials = await attempt(
    "credentials",
    "AWS credentials that are valid",
    async () => (await callerIdentity()).arn,
  );
  const region = options.region ?? process.env.AWS_REGION;
  if (credentials.status === "fail" || region === undefined) return [...machine, credentials];
  const name = options.cluster ?? "orrery";
  const cluster = await attempt("cluster", "an EKS cluster that is ACTIVE", async () => {
    const found = await clusterStatus(name, region);
    const state = found === undefined ? "none" : `${found.status}, Kubernetes ${found.version}`;
    const text = `${name} in ${region}: ${state}`;
    return found?.status === "ACTIVE" ? text : { found: text, fix: "Make it: pulumi -C eks up (eks/README.md)" };
  });
  return [...machine, credentials, cluster, ...(cluster.status === "fail" ? await quotaChecks(region) : [])];
}

/**
 * What the account must be let have in a region for a cluster with default settings. Codes: Amazon EC2 and VPC service
 * quotas in the AWS General Reference. What is in use already is not known here.
 */
const quotas = [
  { name: "vCPUs", service: "ec2", code: "L-1216C47A", needed: 12, of: "running On-Demand Standard instances" },
  { name: "elastic IPs", service: "ec2", code: "L-0263D0A3", needed: 1, of: "EC2-VPC Elastic IPs" },
  { name: "VPCs", service: "vpc", code: "L-F678F1CE", needed: 1, of: "VPCs per region" },
] as const;

/** Whether a cluster could be made where there is none. Credentials that may not read quotas only warn. */
async function quotaChecks(region: string): Promise<Check[]> {
  return await Promise.all(
    quotas.map(async (quota) => {
      const needed = `${quota.needed}, less what is in use (${quota.of})`;
      let isRead = false;
      const checked = await attempt(`quota of ${quota.name}`, needed, async () => {
        const value = await serviceQuota(quota, region);
        isRead = true;
        const fix = `aws service-quotas request-service-quota-increase --service-code ${quota.service} --quota-code ${quota.code} --desired-value <number> --region ${region}`;
        return value >= quota.needed ? `${value} in ${region}` : { found: `${value} in ${region}`, fix };
      });
      return isRead || checked.status === "ok" ? checked : { ...checked, status: "warn" };
    }),
  );
}
