import type { TargetConnection } from "../../components/cluster-target.ts";
import { pullsImages } from "../built-images.ts";
import { kubeConfigOf, serverVersion } from "../kube-client.ts";
import { defaultKubeconfig } from "../kubeconfig.ts";
import type { TargetModule, TargetSettings } from "../module.ts";
import { contextPreflight } from "./doctor.ts";

/** Any cluster of an existing kubeconfig context: nothing is made, the cluster has to be there. */
export const contextModule: TargetModule = {
  problems: ({ context }) =>
    context === undefined
      ? [{ path: "--target", rule: "target context needs a context.", fix: "Add --context <name>." }]
      : [],
  complete: (settings) => settings,
  find: async (settings) => {
    const connection = connectionOf(settings);
    kubeConfigOf(connection);
    return connection;
  },
  prepare: async (settings) => {
    const connection = connectionOf(settings);
    await serverVersion(kubeConfigOf(connection));
    return { connection, networkPolicyEnforced: false, versions: {} };
  },
  load: async (settings, names) => {
    throw pullsImages(`The cluster of context "${settings.context}"`, names);
  },
  preflight: contextPreflight,
};

function connectionOf({ context }: TargetSettings): TargetConnection {
  return { name: "context", kubeconfig: defaultKubeconfig(), context: context ?? "" };
}
