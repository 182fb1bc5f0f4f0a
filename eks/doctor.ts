import { type Check, doctor } from "../local/toolchain/doctor.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import type { TargetSettings } from "../targets/module.ts";
import { attempt } from "../targets/preflight.ts";
import { callerIdentity, clusterStatus } from "./aws.ts";

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
  return [...machine, credentials, cluster];
}
