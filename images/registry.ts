import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../local/toolchain/exec.ts";
import type { OrreryHome } from "../local/toolchain/home.ts";
import { type Progress, silentProgress } from "../local/toolchain/progress.ts";
import { EnvironmentError } from "../schema/errors.ts";
import type { BuiltImage } from "./build.ts";

/** A registry that images are copied to; buildah reads the user's own logins (`~/.docker/config.json`). */
export interface Registry {
  /** Host and path, e.g. `ghcr.io/example/orrery`. */
  readonly prefix: string;
  /** Plain HTTP or a certificate nobody knows, for registries on this machine. */
  readonly insecure: boolean;
}

/** Settings of {@link pushImages} and {@link verifyImages}. */
export interface RegistryOptions {
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An image in a registry. */
export interface PushedImage {
  readonly name: string;
  /** With its content tag. */
  readonly tagged: string;
  /** By digest: what to give to `--image`. */
  readonly reference: string;
}

/** Whether a registry holds the image that these sources make. */
export interface VerifiedImage {
  readonly name: string;
  readonly tagged: string;
  readonly outcome: "same" | "different" | "absent";
  /** Ids (digests of the configurations) of the image built here and of the registry's. */
  readonly here: string;
  readonly there?: string;
}

/** Copies images to a registry under their content tags. */
export async function pushImages(
  home: OrreryHome,
  buildah: string,
  images: readonly BuiltImage[],
  registry: Registry,
  options: RegistryOptions = {},
): Promise<PushedImage[]> {
  const progress = options.progress ?? silentProgress;
  return await inStorage(home, buildah, options, async (command, folder) => {
    const pushed: PushedImage[] = [];
    for (const image of images) {
      const tagged = taggedIn(registry, image);
      const task = `push ${tagged}`;
      progress.start(task);
      try {
        const id = (await command(["pull", "--quiet", `docker-archive:${image.archive}`])).trim();
        const digest = join(folder, "digest");
        const tls = `--tls-verify=${!registry.insecure}`;
        await command(["push", "--quiet", tls, "--digestfile", digest, id, `docker://${tagged}`]);
        const reference = `${registry.prefix}/${image.name}@${(await readFile(digest, "utf8")).trim()}`;
        progress.done(task, reference);
        pushed.push({ name: image.name, tagged, reference });
      } catch (error) {
        progress.fail(task, (error as Error).message);
        throw refused(registry, error);
      }
    }
    return pushed;
  });
}

/** Compares images in a registry with those built here: the id is a digest over everything that is in an image. */
export async function verifyImages(
  home: OrreryHome,
  buildah: string,
  images: readonly BuiltImage[],
  registry: Registry,
  options: RegistryOptions = {},
): Promise<VerifiedImage[]> {
  return await inStorage(home, buildah, options, async (command) => {
    const verified: VerifiedImage[] = [];
    for (const image of images) {
      const tagged = taggedIn(registry, image);
      const here = (await command(["pull", "--quiet", `docker-archive:${image.archive}`])).trim();
      const tls = `--tls-verify=${!registry.insecure}`;
      const there = await command(["pull", "--quiet", "--policy", "always", tls, `docker://${tagged}`]).then(
        (id) => id.trim(),
        (error: unknown) => {
          if (isAbsent(error)) return undefined;
          throw refused(registry, error);
        },
      );
      verified.push({
        name: image.name,
        tagged,
        outcome: there === undefined ? "absent" : there === here ? "same" : "different",
        here,
        ...(there === undefined ? {} : { there }),
      });
    }
    return verified;
  });
}

const taggedIn = (registry: Registry, image: BuiltImage): string =>
  `${registry.prefix}/${image.reference.slice(image.reference.lastIndexOf("/") + 1)}`;

type Command = (args: readonly string[]) => Promise<string>;

/** Runs buildah on a storage of its own that is gone afterwards, so that no build's storage is touched. */
async function inStorage<Result>(
  home: OrreryHome,
  buildah: string,
  { signal }: RegistryOptions,
  action: (command: Command, folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(home.images, "registry-"));
  const storage = ["--root", join(folder, "root"), "--runroot", join(folder, "run"), "--storage-driver", "vfs"];
  try {
    return await action(
      (args) => run(buildah, [...storage, ...args], { env: { ...process.env, BUILDAH_ISOLATION: "chroot" }, signal }),
      folder,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const isAbsent = (error: unknown): boolean => /manifest unknown|not found|name unknown/i.test((error as Error).message);

function refused(registry: Registry, error: unknown): EnvironmentError {
  return new EnvironmentError(
    `The registry ${registry.prefix} did not take or give an image: ${(error as Error).message}`,
    `Log in with \`docker login\` or \`buildah login\`; a registry without TLS needs --insecure.`,
    { cause: error },
  );
}
