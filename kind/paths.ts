import { join } from "node:path";
import type { OrreryHome } from "../local/toolchain/home.ts";

/** The kubeconfig of one kind cluster; the user's own stays as it is. */
export function kindKubeconfig(home: OrreryHome, cluster: string): string {
  return join(home.root, "kind", cluster, "kubeconfig");
}
