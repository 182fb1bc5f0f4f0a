import { EnvironmentError } from "../../schema/errors.ts";
import { exec, run } from "../toolchain/exec.ts";
import { inside } from "./paths.ts";

/** Label that keeps the kubelet from ever deleting an image: there is no registry to fetch it from again. */
const pinned = "io.cri-containerd.pinned=pinned";

/** An image that can be put into a cluster. */
export interface ImageArchive {
  /** Full reference it has inside the cluster, e.g. `orrery.dev/kv:0123456789ab`. */
  readonly reference: string;
  /** Path of an OCI or docker archive whose one image carries that reference. */
  readonly archive: string;
}

/** How to run containerd's client inside a cluster. */
export interface ContainerdClient {
  /** Command that runs a program in the cluster's namespaces. */
  readonly enter: readonly string[];
  /** PATH of the cluster's processes; `ctr` is on it. */
  readonly path: string;
}

function command(client: ContainerdClient, args: readonly string[]): [string, string[]] {
  const [program = "", ...before] = client.enter;
  return [program, [...before, "ctr", "--address", inside.containerdSocket, "--namespace", "k8s.io", ...args]];
}

/** Whether containerd answers. */
export async function containerdAnswers(client: ContainerdClient): Promise<boolean> {
  const [program, args] = command(client, ["version"]);
  return (await exec(program, args, { env: { PATH: client.path }, timeoutMs: 3_000 })).code === 0;
}

/** References of the images in the cluster. */
export async function listImages(client: ContainerdClient): Promise<Set<string>> {
  const [program, args] = command(client, ["images", "list", "-q"]);
  const text = await run(program, args, { env: { PATH: client.path } });
  return new Set(text.split("\n").filter((line) => line !== ""));
}

/**
 * Imports the images the cluster does not have yet and pins all of them.
 *
 * @returns the references that were imported now
 */
export async function importArchives(
  client: ContainerdClient,
  images: readonly ImageArchive[],
  signal?: AbortSignal,
): Promise<string[]> {
  const present = await listImages(client);
  const missing = images.filter((image) => !present.has(image.reference));
  for (const image of missing) {
    const options = { env: { PATH: client.path, TMPDIR: "/tmp" }, signal };
    const [program, args] = command(client, ["images", "import", image.archive]);
    await run(program, args, options).catch((error: Error) => {
      signal?.throwIfAborted();
      throw notLoaded(image, error);
    });
    if (!(await listImages(client)).has(image.reference)) {
      throw new EnvironmentError(
        `The archive ${image.archive} does not hold the image ${image.reference}.`,
        "Remove the archive, so that the image is built again.",
      );
    }
    const [labeller, labelArgs] = command(client, ["images", "label", image.reference, pinned]);
    await run(labeller, labelArgs, options);
  }
  return missing.map((image) => image.reference);
}

function notLoaded({ reference, archive }: ImageArchive, error: Error): EnvironmentError {
  const why = error.message.trim().split("\n").at(-1) ?? "";
  const fix = /no space left on device/i.test(why)
    ? "Free some space, or have the cluster on another disk: `npx orrery local reset`, then set ORRERY_HOME."
    : `Remove the archive, so that the image is built again: rm ${archive}`;
  return new EnvironmentError(
    `The image ${reference} (${archive}) could not be loaded into the local cluster: ${why}.`,
    fix,
    { cause: error },
  );
}
