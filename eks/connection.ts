import type { TargetConnection } from "../components/cluster-target.ts";
import { upstreamImage } from "../images/table.ts";
import { EnvironmentError, type Problem } from "../schema/errors.ts";
import { pullsImages } from "../targets/built-images.ts";
import { kubeConfigOf, serverVersion } from "../targets/kube-client.ts";
import { defaultKubeconfig } from "../targets/kubeconfig.ts";
import type { Deployment, TargetModule, TargetSettings } from "../targets/module.ts";
import { callerIdentity, clusterStatus, updateKubeconfig } from "./aws.ts";
import { eksPreflight } from "./doctor.ts";

/** An EKS cluster made by the stack in this folder. Never made on the way: it costs money and takes a quarter hour. */
export const eksModule: TargetModule = {
  problems: optionProblems,
  complete: (settings) => ({ ...settings, context: settings.context ?? `eks-${settings.options.cluster ?? "orrery"}` }),
  find: async (settings) => {
    const { cluster, region } = placeOf(settings);
    await callerIdentity();
    const found = await clusterStatus(cluster, region);
    return found?.status === "ACTIVE" ? connectionOf(settings) : undefined;
  },
  prepare: async (settings, deployment, { signal }) => {
    requireImages(settings, deployment);
    const { cluster, region } = placeOf(settings);
    await callerIdentity(signal);
    const version = await requireCluster(cluster, region, signal);
    const connection = connectionOf(settings);
    await updateKubeconfig({ cluster, region, ...connection }, signal);
    await serverVersion(kubeConfigOf(connection));
    return {
      connection,
      networkPolicyEnforced: true,
      versions: { eks: version },
      afterwards: `the cluster ${cluster} goes on and costs money; \`pulumi -C eks destroy\` takes it down`,
    };
  },
  load: async (_settings, names) => {
    throw pullsImages("EKS", names);
  },
  preflight: eksPreflight,
};

const knownOptions = ["cluster", "region", "arch", "ingressClass"];

function optionProblems({ options }: TargetSettings): readonly Problem[] {
  const path = "--target-option";
  const unknown = Object.keys(options).filter((key) => !knownOptions.includes(key));
  return [
    ...unknown.map((key) => ({ path, rule: `eks has no option ${key}.`, fix: `It has ${knownOptions.join(", ")}.` })),
    ...(options.region === undefined && process.env.AWS_REGION === undefined
      ? [{ path, rule: "eks needs a region.", fix: "Add --target-option region=<region>, or set AWS_REGION." }]
      : []),
    ...(options.arch === undefined || options.arch === "amd64" || options.arch === "arm64"
      ? []
      : [{ path, rule: `arch=${options.arch} is no architecture.`, fix: "Write amd64 or arm64." }]),
  ];
}

function placeOf({ options }: TargetSettings): { readonly cluster: string; readonly region: string } {
  return { cluster: options.cluster ?? "orrery", region: options.region ?? process.env.AWS_REGION ?? "" };
}

const connectionOf = ({ context = "" }: TargetSettings): TargetConnection => ({
  name: "eks",
  kubeconfig: defaultKubeconfig(),
  context,
});

function requireImages({ images }: TargetSettings, deployment: Deployment): void {
  const missing = deployment.images.filter((name) => (images[name] ?? upstreamImage(name)) === undefined);
  if (missing.length === 0) return;
  throw new EnvironmentError(
    `EKS cannot run images of this machine: ${missing.join(", ")}.`,
    `Push them (pulumi -C eks stack output repositories) and name them: ${missing.map((name) => `--image ${name}=<reference>`).join(" ")}`,
  );
}

async function requireCluster(cluster: string, region: string, signal: AbortSignal): Promise<string> {
  const found = await clusterStatus(cluster, region, signal);
  if (found === undefined) {
    throw new EnvironmentError(
      `There is no EKS cluster ${cluster} in ${region}.`,
      "Make it, with a look at its cost first: pulumi -C eks preview && pulumi -C eks up (eks/README.md)",
    );
  }
  if (found.status !== "ACTIVE") {
    throw new EnvironmentError(`The EKS cluster ${cluster} is ${found.status}.`, "Wait until it is ACTIVE.");
  }
  return found.version;
}
