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
  prometheus: {
    description: "Prometheus, with the files its pages are made of",
    upstream: "docker.io/prom/prometheus:v2.42.0",
    buildFile: "prometheus.Containerfile",
    base: "base",
    parts: [
      {
        kind: "distribution",
        packages: [
          "prometheus",
          "fonts-glyphicons-halflings",
          "libjs-bootstrap4",
          "libjs-d3",
          "libjs-eonasdan-bootstrap-datetimepicker",
          "libjs-jquery",
          "libjs-jquery-hotkeys",
          "libjs-moment",
          "libjs-moment-timezone",
          "libjs-mustache",
          "libjs-popper.js",
          "libjs-rickshaw",
        ],
        to: "root",
      },
    ],
  },
  "otel-collector": {
    description: "OpenTelemetry Collector: OTLP in, Prometheus and OTLP out",
    upstream: "docker.io/otel/opentelemetry-collector:0.155.0",
    buildFile: "otel-collector.Containerfile",
    base: "base",
    parts: [{ kind: "tool", program: "otelcol", to: "otelcol" }],
  },
  jaeger: {
    description: "Jaeger: collector, store and query API of traces",
    upstream: "docker.io/jaegertracing/jaeger:2.13.0",
    buildFile: "jaeger.Containerfile",
    base: "base",
    parts: [{ kind: "tool", program: "jaeger", to: "jaeger" }],
  },
  shell: {
    description: "a shell and its usual commands, for tests; no network uses it",
    upstream: "docker.io/library/busybox:1.37",
    buildFile: "shell.Containerfile",
    internal: true,
    parts: [{ kind: "distribution", packages: ["busybox-static"], to: "busybox" }],
  },
} as const satisfies Record<string, ImageSpec>;

/** Images that are in no package registry: they can only be pulled. */
export const pulledImages: Readonly<Record<string, string>> = { grafana: "docker.io/grafana/grafana:12.3.0" };

/** Name of an image of the table. */
export type ImageName = keyof typeof images;

/** Whether a name is one of the table's. */
export function isImageName(name: string): name is ImageName {
  return Object.hasOwn(images, name);
}
