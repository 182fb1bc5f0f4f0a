import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { apiPort } from "./addresses.ts";
import type { ClusterPaths } from "./paths.ts";
import { writeWhole } from "./state.ts";

/** Name of the context in a cluster's kubeconfig. */
export function contextName(cluster: string): string {
  return `orrery-${cluster}`;
}

/** Writes the kubeconfig the host uses: self-contained, for its owner alone. The user's own is never touched. */
export async function writeKubeconfig(paths: ClusterPaths, nodeAddress: string): Promise<void> {
  const pem = async (file: string) => (await readFile(join(paths.kwokCluster, "pki", file))).toString("base64");
  const name = contextName(paths.name);
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [
      {
        name,
        cluster: {
          server: `https://${nodeAddress}:${apiPort}`,
          "certificate-authority-data": await pem("ca.crt"),
        },
      },
    ],
    users: [
      {
        name,
        user: { "client-certificate-data": await pem("admin.crt"), "client-key-data": await pem("admin.key") },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
  await writeWhole(paths.kubeconfig, `${JSON.stringify(config, null, 2)}\n`, 0o600);
}
