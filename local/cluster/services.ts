import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ConfigInput, ControlPlaneName } from "./config.ts";
import { caddyAdmin, provisionerName } from "./config.ts";
import { inside } from "./paths.ts";

/** Programs of the toolchain, by name; a part of the toolchain's `Tools`. */
export interface ProgramFinder {
  /** Absolute path of a program. */
  path(program: string): string;
}

/** Programs every cluster runs, besides those of the system itself. */
export const clusterPrograms = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "kubectl",
  "kwokctl",
  "coredns",
  "volume-provisioner",
  "ingress-controller",
  "caddy",
  "containerd",
  "containerd-shim-runc-v2",
  "ctr",
  "runc",
  "host-local",
  "etcd",
  "iptables",
  "iptables-save",
  "iptables-restore",
  "conntrack",
  "s6-svscan",
  "s6-supervise",
  "s6-svc",
  "s6-log",
  "ip",
  "unshare",
  "nsenter",
] as const;

/** What run scripts need to know of the programs. */
export interface ServicePrograms {
  /** PATH of every process of the cluster. */
  readonly path: string;
  readonly svscan: string;
  /** Folder with the supervisor's programs. */
  readonly supervisorFolder: string;
  /** Absolute path of a program. */
  of(program: string): string;
}

/** One supervised process. */
export interface Service {
  readonly name: string;
  readonly command: readonly string[];
}

/** The programs of a cluster and the PATH that finds them. */
export function servicePrograms(tools: ProgramFinder): ServicePrograms {
  const folders = clusterPrograms.map((program) => dirname(tools.path(program)));
  const path = [...new Set([...folders, "/usr/sbin", "/usr/bin", "/sbin", "/bin"])].join(":");
  return {
    path,
    svscan: tools.path("s6-svscan"),
    supervisorFolder: dirname(tools.path("s6-supervise")),
    of: (program) => tools.path(program),
  };
}

/** Services that run from the first moment of a boot. */
export function runtimeServices(input: ConfigInput, programs: ServicePrograms): Service[] {
  return [
    { name: "containerd", command: [programs.of("containerd"), "--config", `${input.paths.config}/containerd.toml`] },
  ];
}

/** Services that need an API server. */
export function nodeServices(input: ConfigInput, programs: ServicePrograms): Service[] {
  const { paths, link, nodeName } = input;
  const kubeconfig = `${paths.kwokCluster}/kubeconfig.yaml`;
  return [
    {
      name: "kubelet",
      command: [
        programs.of("kubelet"),
        `--config=${paths.config}/kubelet.json`,
        `--kubeconfig=${kubeconfig}`,
        `--root-dir=${inside.kubeletRoot}`,
        `--cert-dir=${inside.kubeletRoot}/pki`,
        `--hostname-override=${nodeName}`,
        `--node-ip=${link.nodeAddress}`,
        "--node-labels=orrery.dev/target=local",
      ],
    },
    { name: "kube-proxy", command: [programs.of("kube-proxy"), `--config=${paths.config}/kube-proxy.json`] },
    { name: "coredns", command: [programs.of("coredns"), "-conf", `${paths.config}/Corefile`] },
    {
      name: "volume-provisioner",
      command: [
        programs.of("volume-provisioner"),
        `--kubeconfig=${kubeconfig}`,
        `--root=${inside.volumes}`,
        `--provisioner-name=${provisionerName}`,
      ],
    },
    { name: "caddy", command: [programs.of("caddy"), "run", "--config", `${paths.config}/caddy.json`] },
    {
      name: "ingress-controller",
      command: [
        programs.of("ingress-controller"),
        `--kubeconfig=${kubeconfig}`,
        `--caddy-admin=${caddyAdmin}`,
        `--storage=${inside.certificates}`,
        `--address=${link.nodeAddress}`,
      ],
    },
  ];
}

/** The command line kwokctl wrote for a control plane component, with the program's place of today. */
export function controlPlaneService(
  name: ControlPlaneName,
  args: readonly string[],
  programs: ServicePrograms,
): Service {
  return { name, command: [programs.of(name), ...args] };
}

/** Run script of a service: one program, its output on one stream for the logger. */
export function runScript(service: Service): string {
  return `#!/bin/sh\nexec ${service.command.map(quote).join(" ")} 2>&1\n`;
}

/** Run script of a service's logger: 3 old files of 4 MB beside the current one. */
export function logScript(logger: string, folder: string): string {
  return `#!/bin/sh\nexec ${quote(logger)} -b n3 s4000000 T ${quote(folder)}\n`;
}

/** Empties the supervisor's scan folder. */
export async function clearServices(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
}

/**
 * Writes one service folder. It appears in the scan folder complete, under its final name, by being made elsewhere
 * and renamed.
 */
export async function writeService(
  scanFolder: string,
  logs: string,
  service: Service,
  programs: ServicePrograms,
): Promise<void> {
  const logFolder = join(logs, service.name);
  await mkdir(logFolder, { recursive: true });
  const folder = join(scanFolder, `.${service.name}`);
  await mkdir(join(folder, "log"), { recursive: true });
  await script(join(folder, "run"), runScript(service));
  await script(join(folder, "log", "run"), logScript(programs.of("s6-log"), logFolder));
  await rename(folder, join(scanFolder, service.name));
}

async function script(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o755);
}

/** A word for the shell, whatever is in it. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
