import { homedir } from "node:os";
import { join } from "node:path";

/** The kubeconfig in use: the first of `KUBECONFIG`, else `~/.kube/config`. */
export function defaultKubeconfig(env: NodeJS.ProcessEnv = process.env): string {
  return env.KUBECONFIG?.split(":")[0] || join(homedir(), ".kube", "config");
}
