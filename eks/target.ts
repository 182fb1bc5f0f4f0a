import { upstreamImage } from "../images/table.ts";
import { EnvironmentError } from "../schema/errors.ts";
import type { TargetProgram, TargetTraits } from "../targets/module.ts";
import { clusterProvider } from "../targets/program-parts.ts";
import { targetPulls } from "../targets/pulling.ts";
import { stackCost } from "./cost.ts";

const traits: TargetTraits = {
  name: "eks",
  exposure: "proxy",
  storageClass: "gp3",
  serviceCidr: "172.20.0.0/16",
  apiServerCidr: "10.0.0.0/16", // the control plane's interfaces are in the cluster's subnets
  arch: "amd64",
  capabilities: { enforcesNetworkPolicy: true, movableVolumes: true, pullsImages: targetPulls("eks") },
};

/** A cluster that the stack in this folder has made. */
export const eksProgram: TargetProgram = {
  traits,
  costPerHour: stackCost,
  create: async ({ context = "eks-orrery", images, options }) => ({
    ...traits,
    provider: clusterProvider(context),
    arch: options.arch === "arm64" ? "arm64" : "amd64",
    ...(options.ingressClass === undefined ? {} : { ingressClass: options.ingressClass }),
    images: (name) => {
      const image = images[name] ?? upstreamImage(name);
      if (image !== undefined) return image;
      throw new EnvironmentError(
        `No image is named for "${name}", and EKS cannot run images of this machine.`,
        `Push it to the cluster's repository (pulumi -C eks stack output repositories) and name it: --image ${name}=<reference>.`,
      );
    },
  }),
};
