import type { TargetConnection } from "../components/cluster-target.ts";
import { imagesOf } from "../components/images.ts";
import { buildImages, toolsIn } from "../images/build.ts";
import { clusterUp, importImages } from "../local/cluster/index.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { type PulumiEnvironment, pulumiEnvironment } from "../local/toolchain/pulumi.ts";
import { clusterTools, imageTools, pulumiTools, resolveTools } from "../local/toolchain/toolchain.ts";
import { EnvironmentError, InputError } from "../schema/errors.ts";
import type { Experiment } from "../schema/experiment.ts";
import { defaultKubeconfig } from "../stacks/context-target.ts";
import { coreApi, kubeConfigOf, serverVersion } from "./cluster-client.ts";
import type { Console } from "./console.ts";

/** Options that say where to deploy. */
export interface TargetOptions {
  readonly target?: string;
  readonly context?: string;
  readonly image?: readonly string[];
}

/** A cluster that is there, with pulumi set up for it. */
export interface PreparedTarget {
  readonly connection: TargetConnection;
  readonly pulumi: PulumiEnvironment;
  /** Stack configuration that leads the program to the same cluster. */
  readonly config: Readonly<Record<string, string | undefined>>;
  readonly kubernetesPlugin: "official" | "orrery";
  readonly networkPolicyEnforced: boolean;
  readonly versions: Readonly<Record<string, string>>;
}

/** What to do while something is prepared. */
export interface Preparing {
  readonly console: Console;
  readonly signal: AbortSignal;
}

/** Name of the chosen target: `--context` means an existing context, else local. */
export function targetName(options: TargetOptions): "local" | "context" {
  const name = options.target ?? (options.context === undefined ? "local" : "context");
  if (name !== "local" && name !== "context") {
    throw new InputError([
      { path: "--target", rule: `there is no target "${name}".`, fix: "Use local, or --context <name>." },
    ]);
  }
  if (name === "context" && options.context === undefined) {
    throw new InputError([{ path: "--target", rule: "target context needs a context.", fix: "Add --context <name>." }]);
  }
  return name;
}

/** Brings up whatever the target needs so that `pulumi up` can start: tools, cluster, images. */
export async function prepareTarget(
  options: TargetOptions,
  experiment: Experiment,
  preparing: Preparing,
): Promise<PreparedTarget> {
  return targetName(options) === "local"
    ? await prepareLocal(experiment, preparing)
    : await prepareContext(options.context ?? "", options.image ?? [], preparing);
}

/** Finds or makes pulumi, without touching any cluster. */
export async function preparePulumi({ console, signal }: Preparing): Promise<PulumiEnvironment> {
  const home = OrreryHome.fromEnvironment();
  await home.prepare();
  await home.ensurePassphrase();
  const tools = await resolveTools(home, pulumiTools, { progress: console.progress, signal });
  return await pulumiEnvironment(home, tools);
}

async function prepareLocal(experiment: Experiment, preparing: Preparing): Promise<PreparedTarget> {
  const { console, signal } = preparing;
  const home = OrreryHome.fromEnvironment();
  const options = { progress: console.progress, signal };
  toolsIn(imagesOf(experiment)); // an image that cannot be had is found out before anything is started
  const cluster = await clusterUp(home, options);
  const pulumi = await preparePulumi(preparing);
  const names = imagesOf(experiment);
  const tools = await resolveTools(home, [...clusterTools, ...imageTools, ...toolsIn(names)], options);
  const images = await buildImages(home, tools, names, options);
  await importImages(home, cluster, images, options);
  const connection = { name: "local", kubeconfig: cluster.kubeconfigPath, context: cluster.context };
  await requireImage(connection, experiment.network.image);
  return {
    connection,
    pulumi,
    config: { target: "local", context: undefined },
    kubernetesPlugin: pulumi.kubernetesPlugin,
    networkPolicyEnforced: false,
    versions: Object.fromEntries(tools.entries.map((entry) => [entry.name, `${entry.version} (${entry.source})`])),
  };
}

async function prepareContext(
  context: string,
  imageOptions: readonly string[],
  preparing: Preparing,
): Promise<PreparedTarget> {
  const images = Object.fromEntries(
    imageOptions.map((option) => {
      const [name, reference] = option.split(/=(.*)/s);
      if (name === undefined || reference === undefined || reference === "") {
        throw new InputError([
          { path: "--image", rule: `"${option}" names no image.`, fix: "Write --image kv=<reference>." },
        ]);
      }
      return [name, reference];
    }),
  );
  const connection = { name: "context", kubeconfig: defaultKubeconfig(), context };
  await serverVersion(kubeConfigOf(connection));
  const pulumi = await preparePulumi(preparing);
  return {
    connection,
    pulumi,
    config: {
      target: "context",
      context,
      ...(Object.keys(images).length > 0 ? { images: JSON.stringify(images) } : {}),
    },
    kubernetesPlugin: pulumi.kubernetesPlugin,
    networkPolicyEnforced: false,
    versions: {},
  };
}

/** The local cluster can reach no registry: an image the experiment names must be in it already. */
async function requireImage(connection: TargetConnection, image: string | undefined): Promise<void> {
  if (image === undefined) {
    return;
  }
  const nodes = await coreApi(kubeConfigOf(connection)).listNode();
  const present = nodes.items.flatMap((node) => node.status?.images ?? []).flatMap((found) => found.names ?? []);
  if (!present.includes(image)) {
    throw new EnvironmentError(
      `The image ${image} (network.image) is not in the local cluster, which cannot reach a registry.`,
      "Remove network.image to use the one built here, or run on a cluster that can pull it: --context <name>.",
    );
  }
}
