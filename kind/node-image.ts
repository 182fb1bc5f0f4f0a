import { buildImages, toolsIn } from "../images/build.ts";
import { resolveTools, type ToolEntry } from "../local/toolchain/toolchain.ts";
import { kindNodeImage } from "../local/toolchain/versions.ts";
import { EnvironmentError } from "../schema/errors.ts";
import { type KindContext, loadNodeImage } from "./cluster.ts";
import type { NodeImage } from "./config.ts";
import { hasImage, pullImage } from "./docker.ts";

/** A node image that Docker has, and the tools it took. */
export interface ReadyNodeImage extends NodeImage {
  readonly entries: readonly ToolEntry[];
}

/**
 * The image nodes are made from: the official one, pulled where it is not there yet; where no registry can be reached,
 * one built here (minutes the first time, then kept).
 *
 * @param wanted `auto`, `built` or a reference
 * @throws EnvironmentError when it can be neither pulled nor built
 */
export async function prepareNodeImage(context: KindContext, wanted: string): Promise<ReadyNodeImage> {
  if (wanted === "built") return await builtNodeImage(context, "it was asked for");
  const reference = wanted === "auto" ? kindNodeImage : wanted;
  if (await hasImage(reference, context)) return { reference, isBuilt: false, entries: [] };
  const task = `pull ${reference}`;
  context.progress.start(task);
  const problem = await pullImage(reference, context);
  if (problem === undefined) {
    context.progress.done(task);
    return { reference, isBuilt: false, entries: [] };
  }
  context.progress.fail(task, problem);
  if (wanted === "auto") return await builtNodeImage(context, `${reference} cannot be pulled`);
  throw new EnvironmentError(
    `The node image ${reference} cannot be pulled: ${problem}.`,
    "Check the reference, or leave out --target-option node-image.",
  );
}

async function builtNodeImage(context: KindContext, reason: string): Promise<ReadyNodeImage> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    throw new EnvironmentError(
      `A node image for kind must be built here (${reason}), which takes Linux and root.`,
      `Let Docker reach a registry and run \`docker pull ${kindNodeImage}\`, or run this as root on Linux.`,
    );
  }
  context.progress.note(`kind nodes are made from an image built here: ${reason}`);
  const tools = await resolveTools(context.home, ["buildah", ...toolsIn(["kind-node"])], context);
  const [image] = await buildImages(context.home, tools, ["kind-node"], context);
  if (image === undefined) throw new Error("buildImages gave no image for kind-node");
  if (!(await hasImage(image.reference, context))) await loadNodeImage(context, image);
  return { reference: image.reference, isBuilt: true, entries: tools.entries };
}
