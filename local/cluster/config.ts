import { stringify } from "yaml";
import { apiPort, apiServiceAddress, dnsServiceAddress, type Link, podCidr, serviceCidr } from "./addresses.ts";
import { type ClusterPaths, inside } from "./paths.ts";

/** DNS suffix of the cluster. */
export const clusterDomain = "cluster.local";
/** Name of the default StorageClass. */
export const storageClassName = "standard";
/** IngressClass of the web server that the host can reach. */
export const ingressClassName = "caddy";
/** What the ingress controller calls itself; the same as in toolchain/cmd/ingress-controller. */
const ingressController = "orrery.dev/ingress";
/** Where Caddy is told its configuration, as its configuration writes it. */
export const caddyAdmin = `unix/${inside.run}/orrery/caddy.sock`;
/** Ports of that web server on the node's address. */
const ingressPorts = [80, 443];
export const provisionerName = "orrery.dev/volume-provisioner";

/** What a machine can or cannot do that the configuration depends on. */
export interface MachineTraits {
  /** CAP_SYS_RESOURCE: without it no process can lower its out-of-memory score. */
  readonly canLowerOomScore: boolean;
  /** containerd's storage driver. */
  readonly snapshotter: "overlayfs" | "native";
}

/** Everything a configuration file is made of. */
export interface ConfigInput {
  readonly paths: ClusterPaths;
  readonly link: Link;
  readonly nodeName: string;
  /** Image of the pod sandbox; imported before the kubelet starts. */
  readonly pauseImage: string;
  /** Folder with the CNI plugins. */
  readonly cniPlugins: string;
  readonly traits: MachineTraits;
}

/** containerd's configuration: one runtime, our sandbox image, and no fixed path outside the cluster's own mounts. */
export function containerdConfig({ paths, cniPlugins, pauseImage, traits }: ConfigInput): string {
  const text = (value: string) => JSON.stringify(value);
  return `version = 2
root = ${text(inside.containerdRoot)}
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]

[grpc]
  address = ${text(inside.containerdSocket)}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${text(pauseImage)}
  restrict_oom_score_adj = ${!traits.canLowerOomScore}
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  max_container_log_line_size = 262144
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${text(cniPlugins)}
    conf_dir = ${text(`${paths.config}/cni`)}
    max_conf_num = 1
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = ${text(traits.snapshotter)}
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`;
}

/**
 * Pod network: a routed pair per pod (\`ptp\`), not a bridge. All traffic between pods then passes the node's routing
 * and with it kube-proxy's rules, whether or not the kernel has br_netfilter. Addresses are handed out afresh at each
 * boot, like a machine's after a restart.
 */
export function cniConfig(): string {
  return json({
    cniVersion: "0.4.0",
    name: "orrery",
    plugins: [
      {
        type: "ptp",
        ipMasq: false,
        mtu: 1500,
        ipam: {
          type: "host-local",
          dataDir: inside.cniState,
          ranges: [[{ subnet: podCidr }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  });
}

/** The kubelet's configuration. */
export function kubeletConfig({ paths, link, traits }: ConfigInput): string {
  return json({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: link.nodeAddress,
    readOnlyPort: 0,
    healthzBindAddress: "127.0.0.1",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${paths.kwokCluster}/pki/ca.crt` },
    },
    authorization: { mode: "Webhook" },
    containerRuntimeEndpoint: `unix://${inside.containerdSocket}`,
    podLogsDir: inside.podLogs,
    volumePluginDir: `${inside.kubeletRoot}/volume-plugins`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/orrery-${paths.id}`,
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: traits.canLowerOomScore ? -999 : 0,
    resolvConf: "/dev/null",
    clusterDNS: [link.nodeAddress],
    clusterDomain,
    maxPods: 250,
    podPidsLimit: 16_384,
    serializeImagePulls: false,
    // Percentages would start to delete imported images, which nobody can pull again, on a disk that is merely full.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    imageMinimumGCAge: "8760h",
    evictionHard: {
      "memory.available": "64Mi",
      "nodefs.available": "128Mi",
      "nodefs.inodesFree": "1000",
      "imagefs.available": "128Mi",
      "imagefs.inodesFree": "1000",
    },
    containerLogMaxSize: "10Mi",
    containerLogMaxFiles: 3,
  });
}

/** kube-proxy's configuration: iptables rules in the cluster's network namespace, no kernel-wide setting touched. */
export function kubeProxyConfig({ paths, link, nodeName, traits }: ConfigInput): string {
  return json({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    bindAddress: link.nodeAddress,
    hostnameOverride: nodeName,
    clientConnection: { kubeconfig: `${paths.kwokCluster}/kubeconfig.yaml` },
    mode: "iptables",
    clusterCIDR: podCidr,
    detectLocalMode: "ClusterCIDR",
    nodePortAddresses: [`${link.nodeAddress}/32`],
    healthzBindAddress: "127.0.0.1:10256",
    metricsBindAddress: "127.0.0.1:10249",
    iptables: { minSyncPeriod: "100ms", syncPeriod: "30s" },
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    oomScoreAdj: traits.canLowerOomScore ? -999 : 0,
  });
}

/**
 * Cluster DNS. Answers come from CoreDNS's own view of the API server, so no cache is needed; a TTL of one second,
 * which negative answers carry as well, lets peers find each other while they start.
 */
export function corefile({ paths }: ConfigInput): string {
  return `.:53 {
  errors
  health 127.0.0.1:8080
  ready 127.0.0.1:8181
  kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {
    kubeconfig ${paths.kwokCluster}/kubeconfig.yaml
    ttl 1
  }
}
`;
}

/** What Caddy starts with: where it is told the rest. Nothing is written outside of the cluster's own folders. */
export function caddyConfig(): string {
  return json({
    admin: { listen: caddyAdmin, origins: ["127.0.0.1"], config: { persist: false } },
    storage: { module: "file_system", root: inside.certificates },
  });
}

/**
 * Rules that close the cluster's only way out. The host may open connections to the API server and to the
 * web server that serves Ingress objects, and to nothing else; whatever the cluster itself starts towards the host is dropped. They sit in the mangle table, before and after
 * everything kube-proxy and the CNI plugins write.
 */
export function closedLinkRules(link: Link): string {
  return `*mangle
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
${[apiPort, ...ingressPorts].map((port) => `-A PREROUTING -i eth0 -d ${link.nodeAddress} -p tcp --dport ${port} -j ACCEPT`).join("\n")}
-A PREROUTING -i eth0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A PREROUTING -i eth0 -j DROP
-A POSTROUTING -o eth0 -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP
COMMIT
`;
}

/**
 * What kwokctl is told: everything it does not know of a real node, and loopback for etcd. Read from `--config`.
 *
 * @param binaries Paths of etcd, kube-apiserver, kube-controller-manager and kube-scheduler.
 */
export function kwokctlConfig(input: ConfigInput, binaries: Readonly<Record<ControlPlaneName, string>>): string {
  const { paths, link } = input;
  const admin = `${paths.kwokCluster}/pki/admin`;
  const patch = (name: ControlPlaneName, extra: Readonly<Record<string, string>>) => ({
    name,
    extraArgs: Object.entries(extra).map(([key, value]) => ({ key, value })),
  });
  return stringify({
    apiVersion: "config.kwok.x-k8s.io/v1alpha1",
    kind: "KwokctlConfiguration",
    options: {
      runtime: "binary",
      securePort: true,
      kubeApiserverPort: apiPort,
      kubeApiserverCertSANs: [link.nodeAddress, apiServiceAddress],
      etcdPort: 2379,
      etcdPeerPort: 2380,
      disable: ["kwok-controller"],
      etcdBinary: binaries.etcd,
      kubeApiserverBinary: binaries["kube-apiserver"],
      kubeControllerManagerBinary: binaries["kube-controller-manager"],
      kubeSchedulerBinary: binaries["kube-scheduler"],
    },
    componentsPatches: [
      patch("etcd", {
        "data-dir": inside.etcd,
        "listen-client-urls": "http://127.0.0.1:2379",
        "listen-peer-urls": "http://127.0.0.1:2380",
      }),
      patch("kube-apiserver", {
        "advertise-address": link.nodeAddress,
        "service-cluster-ip-range": serviceCidr,
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-client-certificate": `${admin}.crt`,
        "kubelet-client-key": `${admin}.key`,
      }),
      patch("kube-controller-manager", {
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        "node-monitor-period": "5s",
        "node-monitor-grace-period": "40s",
      }),
      patch("kube-scheduler", { "leader-elect": "false", "bind-address": "127.0.0.1" }),
    ],
  });
}

export const controlPlaneNames = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;
export type ControlPlaneName = (typeof controlPlaneNames)[number];

/** Objects every cluster has from the start: the default StorageClass and IngressClass, and the DNS Service. */
export function baseObjects(link: Link) {
  const dnsPorts = [
    { name: "dns", port: 53, protocol: "UDP" },
    { name: "dns-tcp", port: 53, protocol: "TCP" },
  ];
  return [
    {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: {
        name: storageClassName,
        annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
      },
      provisioner: provisionerName,
      reclaimPolicy: "Delete",
      volumeBindingMode: "WaitForFirstConsumer",
    },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
      metadata: {
        name: ingressClassName,
        annotations: { "ingressclass.kubernetes.io/is-default-class": "true" },
      },
      spec: { controller: ingressController },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kube-dns", namespace: "kube-system", labels: { "k8s-app": "kube-dns" } },
      spec: { clusterIP: dnsServiceAddress, ports: dnsPorts },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name: "kube-dns-node",
        namespace: "kube-system",
        labels: { "kubernetes.io/service-name": "kube-dns" },
      },
      addressType: "IPv4",
      ports: dnsPorts,
      endpoints: [{ addresses: [link.nodeAddress], conditions: { ready: true } }],
    },
  ];
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
