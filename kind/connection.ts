import { access } from "node:fs/promises";
import type { TargetConnection } from "../components/cluster-target.ts";
import { toolsIn } from "../images/build.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { resolveTools, type ToolEntry } from "../local/toolchain/toolchain.ts";
import { EnvironmentError } from "../schema/errors.ts";
import { buildHere, type ImagesWithTools, namesToBuild } from "../targets/built-images.ts";
import { kubeConfigOf, serverVersion } from "../targets/kube-client.ts";
import type { Preparing, TargetModule } from "../targets/module.ts";
import { createCluster, exportKubeconfig, type KindContext, kindState, loadImages } from "./cluster.ts";
import { dockerInfo } from "./docker.ts";
import { kindPreflight } from "./doctor.ts";
import { ensureIngress } from "./ingress.ts";
import { prepareNodeImage } from "./node-image.ts";
import { contextOf, type KindOptions, kindOptionsOf, kindProblems } from "./options.ts";
import { kindKubeconfig } from "./paths.ts";

/** A cluster of the user's Docker: made by kind when it is not there, the experiment's images built and loaded. */
export const kindModule: TargetModule = {
  problems: kindProblems,
  complete: (settings) => settings,
  find: async (settings) => {
    const { cluster } = kindOptionsOf(settings);
    await dockerInfo();
    if ((await kindState(cluster)).state !== "running") return undefined;
    const connection = connectionOf(OrreryHome.fromEnvironment(), cluster);
    return await access(connection.kubeconfig).then(
      () => connection,
      () => undefined,
    );
  },
  prepare: async (settings, { images: names, hasPages }, preparing) => {
    const options = kindOptionsOf(settings);
    const wanted = namesToBuild(settings, hasPages ? [...names, "ingress"] : names);
    toolsIn(wanted); // an image that cannot be had is found out before anything is started
    const docker = await dockerInfo({ signal: preparing.signal });
    const { context, entries } = await kindContext(preparing);
    const made = await runningCluster(context, options);
    const connection = connectionOf(context.home, options.cluster);
    const config = kubeConfigOf(connection);
    const server = await serverVersion(config);
    const built = await bringImages(context, options.cluster, wanted);
    const ingress = settings.images.ingress ?? built.images.find((image) => image.name === "ingress")?.reference;
    if (hasPages && ingress !== undefined) await ensureIngress(config, ingress, context);
    const tools = [...entries, ...made, ...built.tools].map((entry) => [
      entry.name,
      `${entry.version} (${entry.source})`,
    ]);
    return {
      connection,
      networkPolicyEnforced: false,
      versions: { ...Object.fromEntries(tools), docker: docker.version, "kubernetes of kind": server },
      afterwards: `the kind cluster ${options.cluster} goes on for a fast second run; \`npx orrery kind down\` deletes it`,
    };
  },
  load: async (settings, names, preparing) => {
    const { cluster } = kindOptionsOf(settings);
    await dockerInfo({ signal: preparing.signal });
    const { state } = await kindState(cluster, preparing);
    if (state !== "running") {
      throw new EnvironmentError(
        `The kind cluster ${cluster} is ${state === "broken" ? "in a bad state" : "not there"}.`,
        "`npx orrery up <experiment> --target kind` makes it; `npx orrery kind status` says more.",
      );
    }
    const { context } = await kindContext(preparing);
    return (await bringImages(context, cluster, names)).images;
  },
  preflight: kindPreflight,
};

/** kind itself, found or made. */
export async function kindContext({
  progress,
  signal,
}: Preparing): Promise<{ context: KindContext; entries: readonly ToolEntry[] }> {
  const home = OrreryHome.fromEnvironment();
  const tools = await resolveTools(home, ["kind"], { progress, signal });
  return { context: { home, kind: tools.path("kind"), progress, signal }, entries: tools.entries };
}

/** @returns the tools that a new cluster took */
async function runningCluster(context: KindContext, options: KindOptions): Promise<readonly ToolEntry[]> {
  const found = await kindState(options.cluster, context);
  if (found.state === "broken") {
    throw new EnvironmentError(
      `The kind cluster ${options.cluster} is in a bad state: ${found.detail}.`,
      "Start its containers (docker start <name>), or remove it with `npx orrery kind down`; then try again.",
    );
  }
  if (found.state === "running") {
    await exportKubeconfig(context, options.cluster);
    return [];
  }
  const image = await prepareNodeImage(context, options.nodeImage);
  await createCluster(context, options, image);
  return image.entries;
}

async function bringImages(context: KindContext, cluster: string, names: readonly string[]): Promise<ImagesWithTools> {
  const built = await buildHere(names, context, context.home);
  const found = await kindState(cluster, context);
  await loadImages(context, cluster, found.state === "running" ? found.nodes : [], built.images);
  return built;
}

const connectionOf = (home: OrreryHome, cluster: string): TargetConnection => ({
  name: "kind",
  kubeconfig: kindKubeconfig(home, cluster),
  context: contextOf(cluster),
});
