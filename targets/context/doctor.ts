import { type Check, doctor } from "../../local/toolchain/doctor.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { kubeConfigOf, messageOf, serverVersion } from "../kube-client.ts";
import { defaultKubeconfig } from "../kubeconfig.ts";
import type { TargetSettings } from "../module.ts";

/** What this machine needs for a cluster elsewhere, and whether that cluster answers. */
export async function contextPreflight({ context }: TargetSettings): Promise<readonly Check[]> {
  const checks = await doctor(OrreryHome.fromEnvironment(), { target: "context" });
  return context === undefined ? checks : [...checks, await clusterCheck("context", context)];
}

/** Whether the cluster of a context answers. */
export async function clusterCheck(target: string, context: string): Promise<Check> {
  const connection = { name: target, kubeconfig: defaultKubeconfig(), context };
  const needed = "a cluster that answers";
  try {
    const version = await serverVersion(kubeConfigOf(connection));
    return { name: "cluster", status: "ok", found: `context ${context}, Kubernetes ${version}`, needed, fix: "" };
  } catch (error) {
    const [found = "", fix = ""] = messageOf(error).split("\n  ");
    return { name: "cluster", status: "fail", found, needed, fix };
  }
}
