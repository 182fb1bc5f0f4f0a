import type { TargetConnection } from "../components/cluster-target.ts";
import { buildImages, requireCompilers, toolsIn } from "../images/build.ts";
import { EnvironmentError } from "../schema/errors.ts";
import { imagesNamedIn } from "../schema/named-images.ts";
import { buildHere } from "../targets/built-images.ts";
import { coreApi, kubeConfigOf } from "../targets/kube-client.ts";
import type { TargetModule } from "../targets/module.ts";
import { type ClusterInfo, clusterStatus, clusterUp, importImages } from "./cluster/index.ts";
import { doctor } from "./toolchain/doctor.ts";
import { OrreryHome } from "./toolchain/home.ts";
import { clusterTools, imageTools, resolveTools } from "./toolchain/toolchain.ts";

/** The embedded cluster: started when it does not run, its images built here and brought in. */
export const localModule: TargetModule = {
  problems: ({ context, images }) => [
    ...(context === undefined
      ? []
      : [{ path: "--context", rule: "target local has a context of its own.", fix: "Leave out --target local." }]),
    ...(Object.keys(images).length === 0
      ? []
      : [
          {
            path: "--image",
            rule: "target local runs the images built here.",
            fix: "Set image in the network section instead.",
          },
        ]),
  ],
  complete: (settings) => settings,
  find: async () => {
    if (process.platform !== "linux") return undefined;
    const cluster = await clusterStatus(OrreryHome.fromEnvironment());
    return cluster.state === "running" ? connectionOf(cluster) : undefined;
  },
  prepare: async (_settings, { experiment, images: names }, options) => {
    const home = OrreryHome.fromEnvironment();
    const extra = toolsIn(names);
    await requireCompilers(home, names); // what cannot be had is found out before anything is started
    const cluster = await clusterUp(home, options);
    const tools = await resolveTools(home, [...clusterTools, ...imageTools, ...extra], options);
    const images = await buildImages(home, tools, names, options);
    await importImages(home, cluster, images, options);
    const connection = connectionOf(cluster);
    for (const image of imagesNamedIn(experiment.network)) await requireImage(connection, image);
    return {
      connection,
      networkPolicyEnforced: false,
      versions: Object.fromEntries(tools.entries.map((entry) => [entry.name, `${entry.version} (${entry.source})`])),
      afterwards: "the local cluster goes on for a fast second run; `npx orrery local down` stops it",
    };
  },
  load: async (_settings, names, preparing) => {
    const home = OrreryHome.fromEnvironment();
    const cluster = await clusterStatus(home);
    if (cluster.state !== "running") {
      throw new EnvironmentError(`The local cluster is ${cluster.state}.`, "Start it with `npx orrery local up`.");
    }
    const { images } = await buildHere(names, preparing, home);
    await importImages(home, cluster, images, preparing);
    return images;
  },
  preflight: async () => await doctor(OrreryHome.fromEnvironment(), { target: "local" }),
};

const connectionOf = (cluster: ClusterInfo): TargetConnection => ({
  name: "local",
  kubeconfig: cluster.kubeconfigPath,
  context: cluster.context,
});

/** The local cluster can reach no registry: an image the experiment names must be in it already. */
async function requireImage(connection: TargetConnection, image: string): Promise<void> {
  const nodes = await coreApi(kubeConfigOf(connection)).listNode();
  const present = nodes.items.flatMap((node) => node.status?.images ?? []).flatMap((found) => found.names ?? []);
  if (!present.includes(image)) {
    throw new EnvironmentError(
      `The image ${image} (network section) is not in the local cluster, which cannot reach a registry.`,
      "Leave it out to use the one built here, or run on a cluster that can pull it: --context <name>.",
    );
  }
}
