import type { TargetProgram, TargetTraits } from "../targets/module.ts";
import { builtImages, clusterProvider } from "../targets/program-parts.ts";
import { targetPulls } from "../targets/pulling.ts";

const traits: TargetTraits = {
  name: "minikube",
  exposure: "proxy", // node ports are reached on Linux only
  ingressClass: "nginx",
  storageClass: "standard",
  serviceCidr: "10.96.0.0/12",
  apiServerCidr: "0.0.0.0/0", // Docker chooses the nodes' network; the ports in the policies still hold
  arch: process.arch === "arm64" ? "arm64" : "amd64",
  capabilities: { enforcesNetworkPolicy: false, movableVolumes: false, pullsImages: targetPulls("minikube") },
};

/** A minikube profile, whose name is its kubeconfig context. */
export const minikubeProgram: TargetProgram = {
  traits,
  create: async (settings, images) => ({
    ...traits,
    provider: clusterProvider(settings.context ?? "orrery"),
    images: await builtImages("minikube", settings, images),
  }),
};
