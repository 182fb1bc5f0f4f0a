import { kindNodeImage } from "../local/toolchain/versions.ts";
import type { NpmProject } from "./npm-project.ts";

/** One thing an image is made of; `to` is its place in the build context. */
export type ImagePart =
  /** A program of the toolchain. */
  | { readonly kind: "tool"; readonly program: string; readonly to: string }
  /** Programs of the toolchain in one folder; names of one and the same program become links. */
  | { readonly kind: "tools"; readonly programs: readonly string[]; readonly to: string }
  /** The archive of another image of the table. */
  | { readonly kind: "image"; readonly image: "kind-parts"; readonly to: string }
  /** A Rust program of ours, built on this machine. */
  | { readonly kind: "cargo"; readonly crate: string; readonly program: string; readonly to: string }
  /** A folder or file of this repository as it is. */
  | { readonly kind: "files"; readonly from: string; readonly to: string }
  /** The npm packages that the TypeScript files of some folders import, with all they depend on. */
  | { readonly kind: "npm"; readonly importedBy: readonly string[]; readonly to: string }
  /** The packages of an npm project of its own, for programs that are not this project's. */
  | ({ readonly kind: "npm-project"; readonly to: string } & NpmProject)
  /** The Node.js binary of the npm package `node`. */
  | { readonly kind: "node"; readonly to: string }
  /** The files of distribution packages, without documentation and without the paths in `except`. */
  | {
      readonly kind: "distribution";
      readonly packages: readonly string[];
      readonly except?: readonly string[];
      readonly to: string;
    };

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

const iptablesPackages = [
  ...["iptables", "libip4tc2", "libip6tc2", "libmnl0", "libnetfilter-conntrack3", "libnfnetlink0", "libnftnl11"],
  ...["libxtables12", "conntrack", "netbase"],
];

/** systemd and all that it, containerd, the kubelet and kubeadm need; packages' scripts are not run. */
const nodePackages = `
  base-files bash containerd coreutils findutils grep gzip hostname iproute2 kmod libacl1
  libapparmor1 libargon2-1 libattr1 libaudit-common libaudit1 libblkid1 libbpf1 libbsd0 libbz2-1.0
  libc-bin libc6 libcap-ng0 libcap2 libcap2-bin libcom-err2 libcrypt1 libcryptsetup12
  libdevmapper1.02.1 libelf1 libfdisk1 libffi8 libgcc-s1 libgcrypt20 libgmp10 libgpg-error0
  libgssapi-krb5-2 libjson-c5 libk5crypto3 libkeyutils1 libkmod2 libkrb5-3 libkrb5support0 liblz4-1
  liblzma5 libmd0 libmount1 libncursesw6 libp11-kit0 libpam0g libpcre2-8-0 libproc2-0 libseccomp2
  libselinux1 libsmartcols1 libssl3 libsystemd-shared libsystemd0 libtinfo6 libtirpc-common libtirpc3
  libudev1 libuuid1 libzstd1 mawk mount procps runc sed systemd tar util-linux util-linux-extra
  zlib1g
`
  .trim()
  .split(/\s+/);

/** PostgreSQL, what it is linked against, and a shell, with which it asks its programs for their versions. */
const postgresPackages = `
  postgresql-15 postgresql-client-15 busybox-static dash tzdata
  libaudit1 libcap-ng0 libcap2 libcom-err2 libffi8 libgcrypt20 libgmp10 libgnutls30 libgpg-error0
  libgssapi-krb5-2 libhogweed6 libicu72 libidn2-0 libk5crypto3 libkeyutils1 libkrb5-3 libkrb5support0
  libldap-2.5-0 liblz4-1 liblzma5 libnettle8 libp11-kit0 libpam0g libpq5 libreadline8 libsasl2-2 libssl3
  libsystemd0 libtasn1-6 libtinfo6 libunistring2 libxml2 libzstd1 zlib1g
`
  .trim()
  .split(/\s+/);

/** What a machine does at boot and a container must not: mounts, terminals, kernel settings. */
const bootUnits = ["sysinit", "multi-user", "getty", "local-fs", "timers"].map(
  (target) => `lib/systemd/system/${target}.target.wants`,
);

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
      { kind: "cargo", crate: "nodes/kv", program: "orrery-pause", to: "orrery-pause" },
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
  ptm: {
    description: "private-transaction manager: a stand-in for Tessera and Constellation",
    upstream: "docker.io/quorumengineering/tessera:22.1.7",
    buildFile: "ptm.Containerfile",
    base: "base",
    parts: [
      { kind: "node", to: "node" },
      { kind: "npm", importedBy: ["nodes/ptm"], to: "app/node_modules" },
      { kind: "files", from: "nodes/ptm", to: "app/nodes/ptm" },
      { kind: "files", from: "package.json", to: "app/package.json" },
    ],
  },
  racecourse: {
    description: "web app of the quorum network: races on the chain",
    buildFile: "racecourse.Containerfile",
    base: "base",
    parts: [
      { kind: "node", to: "node" },
      { kind: "npm", importedBy: ["nodes/racecourse"], to: "app/node_modules" },
      { kind: "files", from: "nodes/racecourse", to: "app/nodes/racecourse" },
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
  ceramic: {
    description: "js-ceramic, and what prepares a peer before it starts",
    buildFile: "ceramic.Containerfile",
    base: "base",
    parts: [
      { kind: "node", to: "node" },
      {
        kind: "npm-project",
        project: "images/ceramic",
        rebuild: ["sqlite3"],
        except: ["aws-sdk/dist", "sqlite3/deps", "classic-level/deps", "typescript"],
        to: "app/node_modules",
      },
      { kind: "files", from: "nodes/ceramic", to: "app" },
    ],
  },
  kubo: {
    description: "kubo: blocks and pubsub below js-ceramic",
    upstream: "docker.io/ipfs/kubo:v0.39.0",
    buildFile: "kubo.Containerfile",
    base: "base",
    parts: [{ kind: "tool", program: "kubo", to: "ipfs" }],
  },
  goquorum: {
    description: "GoQuorum: geth and bootnode",
    upstream: "docker.io/quorumengineering/quorum:22.7.4",
    buildFile: "geth.Containerfile",
    base: "base",
    parts: [
      { kind: "tool", program: "goquorum-geth", to: "geth" },
      { kind: "tool", program: "goquorum-bootnode", to: "bootnode" },
    ],
  },
  geth: {
    description: "go-ethereum, the last that seals blocks of clique: geth and bootnode",
    upstream: "docker.io/ethereum/client-go:alltools-v1.13.15",
    buildFile: "geth.Containerfile",
    base: "base",
    parts: [
      { kind: "tool", program: "geth-geth", to: "geth" },
      { kind: "tool", program: "geth-bootnode", to: "bootnode" },
    ],
  },
  "quorum-agent": {
    description: "what starts and looks after the nodes of a quorum network, whichever image they run",
    buildFile: "quorum-agent.Containerfile",
    base: "base",
    parts: [{ kind: "tool", program: "orrery-quorum", to: "orrery-quorum" }],
  },
  cas: {
    description: "anchor service of local Ceramic networks; a stand-in for ceramic-anchor-service",
    buildFile: "cas.Containerfile",
    base: "base",
    parts: [
      { kind: "node", to: "node" },
      { kind: "npm", importedBy: ["nodes/cas"], to: "app/node_modules" },
      { kind: "files", from: "nodes/cas", to: "app/nodes/cas" },
      { kind: "files", from: "package.json", to: "app/package.json" },
    ],
  },
  ganache: {
    description: "Ethereum chain of local Ceramic networks",
    upstream: "docker.io/trufflesuite/ganache:v7.9.2",
    buildFile: "ganache.Containerfile",
    base: "base",
    parts: [
      { kind: "node", to: "node" },
      { kind: "npm-project", project: "images/ganache", except: ["ganache/dist/web"], to: "app/node_modules" },
    ],
  },
  ingress: {
    description: "serves Ingress objects of kind clusters: Caddy and a controller beside it",
    buildFile: "ingress.Containerfile",
    base: "base",
    internal: true,
    parts: [
      { kind: "distribution", packages: ["caddy", "libzstd1"], to: "root" },
      { kind: "tool", program: "ingress-controller", to: "ingress-controller" },
    ],
  },
  postgres: {
    description: "PostgreSQL: index of Ceramic peers that want no file for it",
    upstream: "docker.io/library/postgres:15-alpine",
    buildFile: "postgres.Containerfile",
    base: "base",
    parts: [
      { kind: "files", from: "images/postgres", to: "files" },
      {
        kind: "distribution",
        packages: postgresPackages,
        except: ["llvmjit.so", "llvmjit_types.bc", "bitcode"].map((name) => `usr/lib/postgresql/15/lib/${name}`),
        to: "root",
      },
    ],
  },
  "kind-parts": {
    description: "control plane, DNS, network and storage of kind-node, in one image",
    upstream: "the images that registry.k8s.io/kube-apiserver:v1.34.4 and its like are",
    buildFile: "kind-parts.Containerfile",
    internal: true,
    parts: [
      { kind: "files", from: "kind/node/links", to: "links" },
      { kind: "distribution", packages: ["libc6", "busybox-static", ...iptablesPackages], to: "root" },
      { kind: "files", from: "kind/node/parts", to: "files" },
      {
        kind: "tools",
        programs: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubectl"],
        to: "bin",
      },
      { kind: "tool", program: "kubeadm-etcd", to: "bin/etcd" },
      { kind: "tool", program: "kubeadm-coredns", to: "bin/coredns" },
      { kind: "tool", program: "local-path-provisioner", to: "bin/local-path-provisioner" },
      { kind: "tool", program: "pause", to: "bin/pause" },
    ],
  },
  "kind-node": {
    description: "a node of a kind cluster, where kindest/node cannot be pulled",
    upstream: kindNodeImage,
    buildFile: "kind-node.Containerfile",
    internal: true,
    parts: [
      { kind: "files", from: "kind/node/links", to: "links" },
      { kind: "distribution", packages: [...nodePackages, ...iptablesPackages], except: bootUnits, to: "root" },
      { kind: "files", from: "kind/node/files", to: "files" },
      { kind: "tools", programs: ["kubelet", "kubectl", "kubeadm"], to: "bin" },
      { kind: "tools", programs: ["ptp", "host-local", "portmap", "loopback"], to: "cni" },
      { kind: "image", image: "kind-parts", to: "images/parts.tar" },
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

/** Images that are in no package registry: they can only be pulled. */
export const pulledImages: Readonly<Record<string, string>> = {
  "ceramic-one": "public.ecr.aws/r5b3e0r5/3box/ceramic-one:latest",
  grafana: "docker.io/grafana/grafana:12.3.0",
  tessera: "docker.io/quorumengineering/tessera:22.1.7",
};

/** Images of the table in whose place upstream's run without a change: same programs, same names, same arguments. */
const sameUpstream: readonly string[] = ["goquorum", "geth", "postgres"];

/** What a cluster that pulls images can run for a name; undefined where only an image built here will do. */
export function upstreamImage(name: string): string | undefined {
  const spec: ImageSpec | undefined = isImageName(name) && sameUpstream.includes(name) ? images[name] : undefined;
  return spec?.upstream ?? (Object.hasOwn(pulledImages, name) ? pulledImages[name] : undefined);
}

/** Name of an image of the table. */
export type ImageName = keyof typeof images;

/** Whether a name is one of the table's. */
export function isImageName(name: string): name is ImageName {
  return Object.hasOwn(images, name);
}
