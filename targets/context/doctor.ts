import { type Check, doctor } from "../../local/toolchain/doctor.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { kubeConfigOf, serverVersion } from "../kube-client.ts";
import { defaultKubeconfig } from "../kubeconfig.ts";
import type { TargetSettings } from "../module.ts";
import { attempt } from "../preflight.ts";

/** What this machine needs for a cluster elsewhere, and whether that cluster answers. */
export async function contextPreflight({ context }: TargetSettings): Promise<readonly Check[]> {
  const checks = await doctor(OrreryHome.fromEnvironment(), { target: "context" });
  return context === undefined ? checks : [...checks, await clusterCheck(context)];
}

/** Whether the cluster of a context answers. */
async function clusterCheck(context: string): Promise<Check> {
  const connection = { name: "context", kubeconfig: defaultKubeconfig(), context };
  return await attempt("cluster", "a cluster that answers", async () => {
    const version = await serverVersion(kubeConfigOf(connection));
    return `context ${context}, Kubernetes ${version}`;
  });
}
