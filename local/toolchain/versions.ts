import type { Platform, ReleaseFile, ToolSpec } from "./tool-spec.ts";

/**
 * The one table of tools: which version, where from, how it is checked. Nothing else in the project names a version of
 * a tool; Go builds are pinned by go.sum besides, and distribution packages by the signed lists of the distribution.
 */

const pulumiVersion = "3.246.0";
const kubernetesVersion = "1.34.4";
const kwokVersion = "0.8.0";
const corednsVersion = "1.12.4";
const collectorVersion = "0.155.0";
/** One release of Jaeger has two numbers: that of the Go module, and that of the program of today. */
const jaegerModuleVersion = "1.76.0";
const jaegerVersion = "2.13.0";
const kuboVersion = "0.39.0";
const kuboRelease = `https://github.com/ipfs/kubo/releases/download/v${kuboVersion}`;
const kindVersion = "0.30.0";
/** GoQuorum's own number; the Go module below `nodes/quorum` pins the commit of that release. */
const goquorumVersion = "22.7.4";
/** The last geth that seals blocks of clique. */
const gethVersion = "1.13.15";
/** What kubeadm of this Kubernetes asks for. */
const kubeadmEtcdVersion = "3.6.5";
const localPathVersion = "0.0.30";
/** The node image that kind of this version makes nodes from by default. */
export const kindNodeImage =
  "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a";
/** Version of the official Pulumi Kubernetes plugin; that of the npm package @pulumi/kubernetes. */
export const kubernetesPluginVersion = "4.34.2";
/** What `pulumi version` answers; the Automation API refuses a command without one. */
const pulumiVersionFlag = `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${pulumiVersion}`;

const goArch = (platform: Platform) => (platform.endsWith("arm64") ? "arm64" : "amd64");
const system = (platform: Platform) => platform.slice(0, platform.indexOf("-")).replace("win32", "windows");
const pulumiRelease = `https://github.com/pulumi/pulumi/releases/download/v${pulumiVersion}`;

const kindRelease = `https://kind.sigs.k8s.io/dl/v${kindVersion}`;
const kindBuild = { module: "../kind/toolchain", ldflags: ["-s", "-w"], sources: [] } as const;

/** Both take names of the runtime that Go has closed to others. */
const goquorumBuild = {
  module: "../nodes/quorum",
  ldflags: ["-s", "-w", "-checklinkname=0", "-linkmode external", '-extldflags "-static"'],
  cgo: true,
  tags: ["netgo", "osusergo"],
  sources: [],
} as const;
const gethBuild = { module: "../nodes/quorum/geth", ldflags: ["-s", "-w", "-checklinkname=0"], sources: [] } as const;

function kubernetesFile(program: string, sha256: Partial<Record<Platform, string>> = {}): ReleaseFile {
  const url = (platform: Platform) =>
    `https://dl.k8s.io/release/v${kubernetesVersion}/bin/linux/${goArch(platform)}/${program}`;
  return {
    url: (platform) => (platform.startsWith("linux-") ? url(platform) : undefined),
    content: { kind: "file", program },
    sha256,
    checksums: (platform) => `${url(platform)}.sha256`,
  };
}

/** Names of all tools. */
export type ToolName = keyof typeof tools;

/** The table. */
export const tools = {
  pulumi: {
    version: pulumiVersion,
    programs: ["pulumi", "pulumi-language-nodejs"],
    probe: {
      program: "pulumi",
      args: ["version"],
      pattern: /v?(\d+\.\d+\.\d+)/,
      accepted: { min: "3.230.0", below: "4.0.0" },
    },
    folders: [`~/.pulumi/versions/${pulumiVersion}/bin`, "~/.pulumi/bin"],
    release: [
      {
        url: (platform) =>
          platform === "win32-x64"
            ? undefined
            : `${pulumiRelease}/pulumi-v${pulumiVersion}-${system(platform)}-${platform.endsWith("arm64") ? "arm64" : "x64"}.tar.gz`,
        content: {
          kind: "tar.gz",
          programs: { pulumi: "pulumi/pulumi", "pulumi-language-nodejs": "pulumi/pulumi-language-nodejs" },
        },
        checksums: () => `${pulumiRelease}/pulumi-${pulumiVersion}-checksums.txt`,
      },
    ],
    build: [
      {
        module: "",
        package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        output: "pulumi",
        ldflags: ["-s", "-w", pulumiVersionFlag],
        sources: [],
      },
      {
        module: "toolchain/language-host",
        package: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
        output: "pulumi-language-nodejs",
        ldflags: ["-s", "-w", pulumiVersionFlag],
        sources: [],
      },
    ],
  },
  "kubernetes-plugin": {
    version: kubernetesPluginVersion,
    programs: ["pulumi-resource-kubernetes"],
    build: [
      {
        module: "",
        package: "./plugin",
        output: "pulumi-resource-kubernetes",
        ldflags: ["-s", "-w", `-X main.version=${kubernetesPluginVersion}`],
        sources: ["plugin"],
      },
    ],
  },
  kubernetes: {
    version: kubernetesVersion,
    linuxOnly: true,
    programs: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"],
    probe: {
      program: "kubelet",
      args: ["--version"],
      pattern: /v(\d+\.\d+\.\d+)/,
      accepted: { min: "1.34.0", below: "1.35.0" },
    },
    release: [
      kubernetesFile("kube-apiserver"),
      kubernetesFile("kube-controller-manager"),
      kubernetesFile("kube-scheduler"),
      kubernetesFile("kubelet", {
        "linux-x64": "03b8fea715a7ef82eeaf518dee34c72670c57cc7bc40dc1320c04fbf4f15172f",
        "linux-arm64": "c78845473c434ee85a2444eeab87f8b20f524e3ab6854a078f79468f44aad8f5",
      }),
      kubernetesFile("kube-proxy"),
      kubernetesFile("kubectl", {
        "linux-x64": "d50c359d95e0841eaad08ddc27c7be37cba8fdccfba5c8e2ded65e121ff112db",
        "linux-arm64": "5b982c0644ab1e27780246b9085a5886651b4a7ed86243acbb2bacc1bea01dda",
      }),
    ],
    build: [
      {
        module: "",
        package: "./toolchain/cmd/kube",
        output: "kube",
        links: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"],
        ldflags: ["-s", "-w", `-X k8s.io/component-base/version.gitVersion=v${kubernetesVersion}`],
        sources: ["toolchain/cmd/kube"],
      },
    ],
  },
  kwokctl: {
    version: kwokVersion,
    linuxOnly: true,
    programs: ["kwokctl"],
    probe: {
      program: "kwokctl",
      args: ["--version"],
      pattern: /v(\d+\.\d+\.\d+)/,
      accepted: { min: "0.7.0", below: "0.9.0" },
    },
    release: [
      {
        url: (platform) =>
          `https://github.com/kubernetes-sigs/kwok/releases/download/v${kwokVersion}/kwokctl-${system(platform)}-${goArch(platform)}`,
        content: { kind: "file", program: "kwokctl" },
        checksums: () => `https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v${kwokVersion}`,
      },
    ],
    build: [
      {
        module: "",
        package: "sigs.k8s.io/kwok/cmd/kwokctl",
        output: "kwokctl",
        ldflags: ["-s", "-w"],
        sources: [],
      },
    ],
  },
  coredns: {
    version: corednsVersion,
    linuxOnly: true,
    programs: ["coredns"],
    probe: {
      program: "coredns",
      args: ["--version"],
      pattern: /CoreDNS-(\d+\.\d+\.\d+)/,
      accepted: { min: "1.11.0", below: "2.0.0" },
    },
    release: [
      {
        url: (platform) =>
          platform.startsWith("linux-")
            ? `https://github.com/coredns/coredns/releases/download/v${corednsVersion}/coredns_${corednsVersion}_linux_${goArch(platform)}.tgz`
            : undefined,
        content: { kind: "tar.gz", programs: { coredns: "coredns" } },
        checksums: (platform) =>
          `https://github.com/coredns/coredns/releases/download/v${corednsVersion}/coredns_${corednsVersion}_linux_${goArch(platform)}.tgz.sha256`,
      },
    ],
    build: [
      {
        module: "",
        package: "./toolchain/cmd/coredns",
        output: "coredns",
        ldflags: ["-s", "-w"],
        sources: ["toolchain/cmd/coredns"],
      },
    ],
  },
  pause: {
    version: "1",
    linuxOnly: true,
    programs: ["pause"],
    build: [
      {
        module: "",
        package: "./toolchain/cmd/pause",
        output: "pause",
        ldflags: ["-s", "-w"],
        sources: ["toolchain/cmd/pause"],
      },
    ],
  },
  "volume-provisioner": {
    version: "1",
    linuxOnly: true,
    programs: ["volume-provisioner"],
    build: [
      {
        module: "",
        package: "./toolchain/cmd/volume-provisioner",
        output: "volume-provisioner",
        ldflags: ["-s", "-w"],
        sources: ["toolchain/cmd/volume-provisioner"],
      },
    ],
  },
  "otel-collector": {
    version: collectorVersion,
    linuxOnly: true,
    onDemand: true,
    programs: ["otelcol"],
    // Whatever else is on PATH under that name may lack a part.
    neverFromPath: true,
    probe: {
      program: "otelcol",
      args: ["--version"],
      pattern: /version v?(\d+\.\d+\.\d+)/,
      accepted: { min: collectorVersion },
    },
    release: [
      {
        url: (platform) =>
          `https://github.com/open-telemetry/opentelemetry-collector-releases/releases/download/v${collectorVersion}/otelcol_${collectorVersion}_${system(platform)}_${goArch(platform)}.tar.gz`,
        content: { kind: "tar.gz", programs: { otelcol: "otelcol" } },
        checksums: () =>
          `https://api.github.com/repos/open-telemetry/opentelemetry-collector-releases/releases/tags/v${collectorVersion}`,
      },
    ],
    build: [
      {
        module: "toolchain/otel-collector",
        package: ".",
        output: "otelcol",
        ldflags: ["-s", "-w", `-X main.version=${collectorVersion}`],
        sources: ["toolchain/otel-collector"],
      },
    ],
  },
  jaeger: {
    version: jaegerVersion,
    linuxOnly: true,
    onDemand: true,
    programs: ["jaeger"],
    release: [
      {
        url: (platform) =>
          `https://github.com/jaegertracing/jaeger/releases/download/v${jaegerModuleVersion}/jaeger-${jaegerVersion}-${system(platform)}-${goArch(platform)}.tar.gz`,
        content: {
          kind: "tar.gz",
          programs: { jaeger: `jaeger-${jaegerVersion}-linux-${process.arch === "arm64" ? "arm64" : "amd64"}/jaeger` },
        },
        checksums: () => `https://api.github.com/repos/jaegertracing/jaeger/releases/tags/v${jaegerModuleVersion}`,
      },
    ],
    build: [
      {
        module: "toolchain/jaeger",
        package: "github.com/jaegertracing/jaeger/cmd/jaeger",
        output: "jaeger",
        ldflags: ["-s", "-w"],
        sources: [],
      },
    ],
  },
  "ingress-controller": {
    version: "1",
    linuxOnly: true,
    programs: ["ingress-controller"],
    build: [
      {
        module: "",
        package: "./toolchain/cmd/ingress-controller",
        output: "ingress-controller",
        ldflags: ["-s", "-w"],
        sources: ["toolchain/cmd/ingress-controller"],
      },
    ],
  },
  /** Named as the project is: `ipfs`, its own name for the program, is a common one. */
  kubo: {
    version: kuboVersion,
    linuxOnly: true,
    onDemand: true,
    programs: ["kubo"],
    neverFromPath: true,
    probe: {
      program: "kubo",
      args: ["version", "--number"],
      pattern: /(\d+\.\d+\.\d+)/,
      accepted: { min: kuboVersion },
    },
    release: [
      {
        url: (platform) => `${kuboRelease}/kubo_v${kuboVersion}_${system(platform)}-${goArch(platform)}.tar.gz`,
        content: { kind: "tar.gz", programs: { kubo: "kubo/ipfs" } },
        checksums: () => `https://api.github.com/repos/ipfs/kubo/releases/tags/v${kuboVersion}`,
      },
    ],
    build: [
      {
        module: "toolchain/kubo",
        package: "github.com/ipfs/kubo/cmd/ipfs",
        output: "kubo",
        ldflags: ["-s", "-w"],
        sources: [],
      },
    ],
  },
  /** For tests: what images are pushed to. */
  "docker-registry": {
    version: "distribution",
    linuxOnly: true,
    onDemand: true,
    programs: ["docker-registry"],
    packages: { debian: ["docker-registry"], fedora: ["docker-distribution"] },
  },
  /** For tests: Docker Engine where the machine has none of its own. */
  "docker-engine": {
    version: "distribution",
    linuxOnly: true,
    onDemand: true,
    programs: ["docker", "dockerd", "docker-proxy"],
    neverFromPath: true,
    packages: { debian: ["docker.io"], fedora: ["moby-engine"] },
  },
  caddy: {
    version: "distribution",
    linuxOnly: true,
    programs: ["caddy"],
    probe: {
      program: "caddy",
      args: ["version"],
      pattern: /v?(\d+\.\d+\.\d+)/,
      accepted: { min: "2.6.0", below: "3.0.0" },
    },
    packages: { debian: ["caddy"], fedora: ["caddy"] },
  },
  kind: {
    version: kindVersion,
    onDemand: true,
    programs: ["kind"],
    probe: {
      program: "kind",
      args: ["version"],
      pattern: /kind v(\d+\.\d+\.\d+)/,
      accepted: { min: "0.27.0", below: "1.0.0" },
    },
    release: [
      {
        url: (platform) =>
          platform === "win32-x64" ? undefined : `${kindRelease}/kind-${system(platform)}-${goArch(platform)}`,
        content: { kind: "file", program: "kind" },
        checksums: (platform) => `${kindRelease}/kind-${system(platform)}-${goArch(platform)}.sha256sum`,
      },
    ],
    build: [{ ...kindBuild, package: "sigs.k8s.io/kind", output: "kind" }],
  },
  goquorum: {
    version: goquorumVersion,
    linuxOnly: true,
    onDemand: true,
    programs: ["goquorum-geth", "goquorum-bootnode"],
    neverFromPath: true,
    probe: {
      program: "goquorum-geth",
      args: ["version"],
      pattern: /Quorum Version: (\d+\.\d+\.\d+)/,
      accepted: { min: goquorumVersion },
    },
    build: [
      { ...goquorumBuild, package: "github.com/ethereum/go-ethereum/cmd/geth", output: "goquorum-geth" },
      { ...goquorumBuild, package: "github.com/ethereum/go-ethereum/cmd/bootnode", output: "goquorum-bootnode" },
    ],
  },
  geth: {
    version: gethVersion,
    linuxOnly: true,
    onDemand: true,
    programs: ["geth-geth", "geth-bootnode"],
    neverFromPath: true,
    probe: {
      program: "geth-geth",
      args: ["version"],
      pattern: /^Version: (\d+\.\d+\.\d+)/m,
      accepted: { min: gethVersion },
    },
    build: [
      { ...gethBuild, package: "github.com/ethereum/go-ethereum/cmd/geth", output: "geth-geth" },
      { ...gethBuild, package: "github.com/ethereum/go-ethereum/cmd/bootnode", output: "geth-bootnode" },
    ],
  },
  "quorum-agent": {
    version: "1",
    linuxOnly: true,
    onDemand: true,
    programs: ["orrery-quorum"],
    build: [
      {
        module: "../nodes/quorum",
        package: "./agent",
        output: "orrery-quorum",
        ldflags: ["-s", "-w", "-checklinkname=0"],
        sources: ["../nodes/quorum/agent"],
      },
    ],
  },
  // What a node image for kind needs besides the programs of the local cluster.
  kubeadm: {
    version: kubernetesVersion,
    linuxOnly: true,
    onDemand: true,
    programs: ["kubeadm"],
    neverFromPath: true,
    probe: {
      program: "kubeadm",
      args: ["version", "--output", "short"],
      pattern: /v(\d+\.\d+\.\d+)/,
      accepted: { min: kubernetesVersion },
    },
    release: [kubernetesFile("kubeadm")],
    build: [
      {
        ...kindBuild,
        package: "k8s.io/kubernetes/cmd/kubeadm",
        output: "kubeadm",
        ldflags: ["-s", "-w", `-X k8s.io/component-base/version.gitVersion=v${kubernetesVersion}`],
      },
    ],
  },
  "kubeadm-etcd": {
    version: kubeadmEtcdVersion,
    linuxOnly: true,
    onDemand: true,
    programs: ["kubeadm-etcd"],
    build: [{ ...kindBuild, package: "go.etcd.io/etcd/server/v3", output: "kubeadm-etcd" }],
  },
  "kubeadm-coredns": {
    version: corednsVersion,
    linuxOnly: true,
    onDemand: true,
    programs: ["kubeadm-coredns"],
    build: [
      {
        ...kindBuild,
        package: "./cmd/coredns",
        output: "kubeadm-coredns",
        sources: ["../kind/toolchain/cmd/coredns"],
      },
    ],
  },
  "local-path-provisioner": {
    version: localPathVersion,
    linuxOnly: true,
    onDemand: true,
    programs: ["local-path-provisioner"],
    build: [{ ...kindBuild, package: "github.com/rancher/local-path-provisioner", output: "local-path-provisioner" }],
  },
  containerd: {
    version: "distribution",
    linuxOnly: true,
    programs: ["containerd", "containerd-shim-runc-v2", "ctr"],
    probe: {
      program: "containerd",
      args: ["--version"],
      pattern: /\s[v~]?(\d+\.\d+\.\d+)/,
      accepted: { min: "1.6.0", below: "3.0.0" },
    },
    packages: { debian: ["containerd"], fedora: ["containerd"] },
  },
  runc: {
    version: "distribution",
    linuxOnly: true,
    programs: ["runc"],
    probe: {
      program: "runc",
      args: ["--version"],
      pattern: /runc version (\d+\.\d+\.\d+)/,
      accepted: { min: "1.1.0" },
    },
    packages: { debian: ["runc"], fedora: ["runc"] },
  },
  "cni-plugins": {
    version: "distribution",
    linuxOnly: true,
    programs: ["host-local", "loopback", "portmap", "ptp"],
    // The plugins of the distribution do not know their own version; what they speak is what matters.
    probe: {
      program: "host-local",
      args: ["--version"],
      pattern: /supported:.*\b(1\.\d+\.\d+)/,
      accepted: { min: "1.0.0" },
    },
    folders: ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"],
    packages: {
      debian: ["containernetworking-plugins"],
      fedora: ["containernetworking-plugins"],
      folder: "usr/lib/cni",
    },
  },
  etcd: {
    version: "distribution",
    linuxOnly: true,
    programs: ["etcd"],
    probe: {
      program: "etcd",
      args: ["--version"],
      pattern: /etcd Version: (\d+\.\d+\.\d+)/,
      accepted: { min: "3.4.0", below: "4.0.0" },
    },
    packages: { debian: ["etcd-server"], fedora: ["etcd"] },
  },
  iptables: {
    version: "distribution",
    linuxOnly: true,
    programs: ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"],
    probe: { program: "iptables", args: ["--version"], pattern: /v(\d+\.\d+\.\d+)/, accepted: { min: "1.8.0" } },
    packages: { debian: ["iptables"], fedora: ["iptables-nft"] },
  },
  conntrack: {
    version: "distribution",
    linuxOnly: true,
    programs: ["conntrack"],
    probe: { program: "conntrack", args: ["--version"], pattern: /v(\d+\.\d+\.\d+)/, accepted: { min: "1.4.0" } },
    packages: { debian: ["conntrack"], fedora: ["conntrack-tools"] },
  },
  buildah: {
    version: "distribution",
    linuxOnly: true,
    programs: ["buildah"],
    probe: {
      program: "buildah",
      args: ["--version"],
      pattern: /version (\d+\.\d+\.\d+)/,
      accepted: { min: "1.23.0", below: "2.0.0" },
    },
    packages: { debian: ["buildah"], fedora: ["buildah"] },
  },
  s6: {
    version: "distribution",
    linuxOnly: true,
    programs: ["s6-svscan", "s6-supervise", "s6-svscanctl", "s6-svc", "s6-svstat", "s6-svok", "s6-log"],
    packages: { debian: ["s6"], fedora: ["s6"] },
  },
  busybox: {
    version: "distribution",
    linuxOnly: true,
    programs: ["busybox"],
    // It is copied into images, so it has to be the static one; a copy on PATH seldom is.
    neverFromPath: true,
    probe: { program: "busybox", args: ["--help"], pattern: /BusyBox v(\d+\.\d+\.\d+)/, accepted: { min: "1.30.0" } },
    packages: { debian: ["busybox-static"], fedora: ["busybox"] },
  },
  iproute2: {
    version: "distribution",
    linuxOnly: true,
    programs: ["ip"],
    probe: { program: "ip", args: ["-V"], pattern: /iproute2-(?:ss)?(\d+(?:\.\d+)*)/, accepted: { min: "4.0.0" } },
    packages: { debian: ["iproute2"], fedora: ["iproute"] },
  },
  "util-linux": {
    version: "distribution",
    linuxOnly: true,
    programs: ["unshare", "nsenter"],
    probe: { program: "unshare", args: ["--version"], pattern: /(\d+\.\d+(?:\.\d+)?)/, accepted: { min: "2.30" } },
    packages: { debian: ["util-linux"], fedora: ["util-linux"] },
  },
  chromium: {
    version: "distribution",
    linuxOnly: true,
    programs: ["chromium"],
    probe: {
      program: "chromium",
      args: ["--version"],
      pattern: /Chromium (\d+\.\d+\.\d+)/,
      accepted: { min: "123.0.0" }, // the first with light-dark() in style sheets
    },
    packages: { debian: ["chromium"], fedora: ["chromium"] },
  },
} as const satisfies Record<string, ToolSpec>;
