import { upstreamImage } from "../../images/table.ts";
import { EnvironmentError } from "../../schema/errors.ts";
import type { TargetProgram, TargetTraits } from "../module.ts";
import { clusterProvider } from "../program-parts.ts";
import { targetPulls } from "../pulling.ts";

const traits: TargetTraits = {
  name: "context",
  exposure: "proxy",
  serviceCidr: "0.0.0.0/0", // unknown of a foreign cluster; the ports in the policies still hold
  apiServerCidr: "0.0.0.0/0",
  arch: "amd64",
  capabilities: { enforcesNetworkPolicy: false, movableVolumes: false, pullsImages: targetPulls("context") },
};

/** Any cluster of an existing kubeconfig context. Its images must be where it can pull them. */
export const contextProgram: TargetProgram = {
  traits,
  create: async ({ context, images }) => {
    if (context === undefined) {
      throw new EnvironmentError(
        "Target context needs the name of a kubeconfig context.",
        "Set it: pulumi config set orrery:context <name>, or --context <name>.",
      );
    }
    return {
      ...traits,
      provider: clusterProvider(context),
      images: (name) => {
        const image = images[name] ?? upstreamImage(name);
        if (image !== undefined) return image;
        throw new EnvironmentError(
          `No image is named for "${name}", and context "${context}" cannot run images of this machine.`,
          `Push one and name it: pulumi config set --path 'orrery:images.${name}' <reference>, or --image ${name}=<reference>.`,
        );
      },
    };
  },
};
