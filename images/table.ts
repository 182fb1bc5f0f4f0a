/** One thing an image is made of; `to` is its place in the build context. */
export type ImagePart =
  /** A program of the toolchain. */
  | { readonly kind: "tool"; readonly program: string; readonly to: string }
  /** A Rust program of ours, built on this machine. */
  | { readonly kind: "cargo"; readonly crate: string; readonly program: string; readonly to: string }
  /** A folder or file of this repository as it is. */
  | { readonly kind: "files"; readonly from: string; readonly to: string }
  /** The npm packages that the TypeScript files of some folders import, with all they depend on. */
  | { readonly kind: "npm"; readonly importedBy: readonly string[]; readonly to: string }
  /** The Node.js binary of the npm package `node`. */
  | { readonly kind: "node"; readonly to: string }
  /** The files of distribution packages, without documentation. */
  | { readonly kind: "distribution"; readonly packages: readonly string[]; readonly to: string };

/** How one image is made. */
export interface ImageSpec {
  /** What it is, for people. */
  readonly description: string;
  /** What stands in its place where images can be pulled; absent for programs of our own. */
  readonly upstream?: string;
  /** Build file beside this one. */
  readonly buildFile: string;
  /** Another image of this table that this one starts from: the build argument BASE. */
  readonly base?: string;
  readonly parts: readonly ImagePart[];
  /** Not for pods of an experiment: part of the cluster, of other images, or of tests. */
  readonly internal?: true;
}

/** Every image of this project. Their tags are made of what goes into them. */
export const images = {
  pause: {
    description: "first process of every pod sandbox",
    upstream: "registry.k8s.io/pause:3.10",
    buildFile: "pause.Containerfile",
    internal: true,
    parts: [{ kind: "tool", program: "pause", to: "pause" }],
  },
  base: {
    description: "C and C++ run-time libraries, one user (65532), nothing else: no shell",
    upstream: "gcr.io/distroless/cc-debian12:nonroot",
    buildFile: "base.Containerfile",
    internal: true,
    parts: [
      { kind: "distribution", packages: ["libc6", "libgcc-s1", "libstdc++6"], to: "libraries" },
      { kind: "files", from: "images/base", to: "files" },
    ],
  },
  kv: {
    description: "replicated key-value node",
    buildFile: "kv.Containerfile",
    base: "base",
    parts: [
      { kind: "cargo", crate: "nodes/kv", program: "orrery-kv", to: "orrery-kv" },
      { kind: "cargo", crate: "nodes/kv", program: "orrery-crash", to: "orrery-crash" },
    ],
  },
  driver: {
    description: "load driver and conductor: Node.js and the workloads folder",
    buildFile: "driver.Containerfile",
    base: "base",
    parts: [
      { kind: "node", to: "node" },
      { kind: "npm", importedBy: ["workloads", "schema"], to: "app/node_modules" },
      { kind: "files", from: "workloads", to: "app/workloads" },
      { kind: "files", from: "schema", to: "app/schema" },
      { kind: "files", from: "package.json", to: "app/package.json" },
    ],
  },
  shell: {
    description: "a shell and its usual commands, for tests; no network uses it",
    upstream: "docker.io/library/busybox:1.37",
    buildFile: "shell.Containerfile",
    internal: true,
    parts: [{ kind: "distribution", packages: ["busybox-static"], to: "busybox" }],
  },
} as const satisfies Record<string, ImageSpec>;

/** Name of an image of the table. */
export type ImageName = keyof typeof images;

/** Names of the images that pods of an experiment may ask for. */
export const experimentImages = Object.keys(images).filter(
  (name) => isImageName(name) && !("internal" in images[name]),
);

/** Whether a name is one of the table's. */
export function isImageName(name: string): name is ImageName {
  return Object.hasOwn(images, name);
}
