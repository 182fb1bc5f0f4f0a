import { Image } from "@pulumi/docker-build/image.js";
import * as pulumi from "@pulumi/pulumi";
import { architectureOf, type ClusterSettings } from "./settings.ts";

export interface PublishedImagesArgs {
  readonly settings: ClusterSettings;
  /** URL of the repository of each image. */
  readonly repositories: Readonly<Record<string, pulumi.Output<string>>>;
  /** What the repositories let in. */
  readonly login: pulumi.Output<{ readonly userName: string; readonly password: string }>;
  /** Folder that `orrery images context` wrote, and what is in it, in an order in which it can be built. */
  readonly folder: string;
  readonly contexts: readonly { readonly name: string; readonly tag: string; readonly base?: string | undefined }[];
}

/**
 * Images built by BuildKit for the processors of the nodes and pushed to the cluster's repositories. Their tags are
 * hashes of what goes in, so that an unchanged image is neither built nor pushed again.
 *
 * It creates: an Image of docker-build for each context. Cost: what the repositories store.
 *
 * ```ts
 * const published = new PublishedImages("images", {settings, repositories, login, folder, contexts}, {provider: aws});
 * published.references.kv; // <repository>:<tag>@sha256:…
 * ```
 */
export class PublishedImages extends pulumi.ComponentResource {
  /** What to run, with the digest, by image. */
  readonly references: Readonly<Record<string, pulumi.Output<string>>>;

  constructor(name: string, args: PublishedImagesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:eks:PublishedImages", name, {}, opts);
    const { login } = args;
    const arm = architectureOf(args.settings.instanceTypes[0] ?? "") === "arm64";
    const references: Record<string, pulumi.Output<string>> = {};
    for (const { name: image, tag, base } of args.contexts) {
      const repository = args.repositories[image];
      if (repository === undefined) throw new pulumi.RunError(`${name}: there is no repository for the image ${image}`);
      const location = `${args.folder}/${image}`;
      const built = new Image(
        `${name}-${image}`,
        {
          context: { location },
          dockerfile: { location: `${location}/Containerfile` },
          ...(base === undefined ? {} : { buildArgs: { BASE: baseOf(references, base, image) } }),
          platforms: [arm ? "linux/arm64" : "linux/amd64"],
          tags: [pulumi.interpolate`${repository}:${tag}`],
          registries: [{ address: repository, username: login.userName, password: pulumi.secret(login.password) }],
          push: true,
          buildOnPreview: false,
        },
        { parent: this },
      );
      references[image] = built.ref;
    }
    this.references = references;
    this.registerOutputs({ references });
  }
}

function baseOf(
  references: Readonly<Record<string, pulumi.Output<string>>>,
  base: string,
  image: string,
): pulumi.Output<string> {
  const found = references[base];
  if (found === undefined) throw new pulumi.RunError(`the context of ${image} comes before that of its base, ${base}`);
  return found;
}
