import { access, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../toolchain/exec.ts";
import type { OrreryHome } from "../toolchain/home.ts";
import type { Tools } from "../toolchain/toolchain.ts";
import { dnsServiceAddress, type Link, linkOf } from "./addresses.ts";
import { ClusterApi } from "./api.ts";
import { type BootInput, bootScript } from "./boot-script.ts";
import { cgroupLayout, makeCgroups } from "./cgroups.ts";
import {
  baseObjects,
  caddyConfig,
  cniConfig,
  containerdConfig,
  controlPlaneNames,
  corefile,
  kubeletConfig,
  kubeProxyConfig,
} from "./config.ts";
import { type ControlPlaneArguments, createControlPlane, readControlPlane } from "./control-plane.ts";
import { containerdAnswers, type ImageArchive, importArchives } from "./images.ts";
import { enterCommand, startInit } from "./init.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { attach, freeLinks, LinkTaken, reserve } from "./network.ts";
import type { ClusterPaths } from "./paths.ts";
import { type ProcessIdentity, signal as sendSignal, waitUntil } from "./processes.ts";
import { apiReady, clusterReady, dnsReady, ingressReady, nodeReported, waitFor } from "./ready.ts";
import {
  clearServices,
  controlPlaneService,
  nodeServices,
  runtimeServices,
  type Service,
  type ServicePrograms,
  servicePrograms,
  writeService,
} from "./services.ts";
import { type ClusterState, writeState } from "./state.ts";
import { machineTraits } from "./traits.ts";

/** What a boot works with. */
export interface BootContext {
  readonly home: OrreryHome;
  readonly paths: ClusterPaths;
  readonly tools: Tools;
  /** The image of pod sandboxes. */
  readonly pause: ImageArchive;
  /** The record of a cluster that exists; absent for a new one. */
  readonly state: ClusterState | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Name of a cluster's one node. */
export function nodeName(paths: ClusterPaths): string {
  return `orrery-${paths.name}`;
}

/**
 * Starts a cluster that is not running. Leaves it half started when it fails; the caller stops it then.
 *
 * @throws Error naming the part that did not come up, with the last lines of its log
 */
export async function boot(context: BootContext): Promise<void> {
  const { paths, tools, signal } = context;
  const programs = servicePrograms(tools);
  const began = Date.now();
  const { link, state } = await claimLink(context);
  const input: BootInput = {
    paths,
    link,
    nodeName: nodeName(paths),
    pauseImage: context.pause.reference,
    cniPlugins: tools.path("cni-plugins"),
    traits: await machineTraits(state.snapshotter),
    keep: keptFolders(context, programs),
    programs,
  };
  const known = await readControlPlane(paths);
  await writeFiles(input);
  await clearServices(paths.services);
  const write = (service: Service) => writeService(paths.services, paths.logs, service, programs);
  for (const service of runtimeServices(input, programs)) await write(service);
  if (known !== undefined) await writeControlPlane(known, programs, write);
  await makeCgroups(await cgroupLayout(), paths.id);

  const init = await startInit(paths, { path: programs.path, unshare: tools.path("unshare") }, signal);
  await attach(tools.path("ip"), link, init.pid);
  await supervisorRuns(paths, signal);
  const enter = enterCommand(tools.path("nsenter"), init);
  if (known === undefined) {
    await writeControlPlane(await createControlPlane(input, programs, enter, signal), programs, write);
    rescan(init);
  }
  await writeKubeconfig(paths, link.nodeAddress);
  const api = await ClusterApi.fromKubeconfig(paths.kubeconfig);
  await Promise.all([importPause(context, programs, enter), waitFor(apiReady(api), paths, 60_000, signal)]);

  for (const service of nodeServices(input, programs)) await write(service);
  rescan(init);
  await createBaseObjects(api, link);
  const enterNetwork = [tools.path("nsenter"), "--target", String(init.pid), "--net", "--"];
  const checks = [
    nodeReported(api, input.nodeName, began),
    ...clusterReady(api, input.nodeName),
    dnsReady(enterNetwork, link.nodeAddress),
    ingressReady(link.nodeAddress),
  ];
  await Promise.all(checks.map((check) => waitFor(check, paths, 60_000, signal)));
}

/** The cluster's link, reserved: its own of last time, or for a new cluster the first that can be had. */
async function claimLink(context: BootContext): Promise<{ link: Link; state: ClusterState }> {
  const { paths, tools } = context;
  const ip = tools.path("ip");
  if (context.state !== undefined) {
    const link = linkOf(context.state.linkIndex);
    await reserve(ip, link, paths.id);
    return { link, state: context.state };
  }
  const { snapshotter } = await machineTraits(undefined, paths.folder);
  for (const link of await freeLinks(ip, paths.id)) {
    const state: ClusterState = {
      version: 1,
      folder: paths.folder,
      linkIndex: link.index,
      snapshotter,
      created: new Date().toISOString(),
    };
    // Recorded first, so that whatever happens next can be cleaned up.
    await writeState(paths, state);
    try {
      await reserve(ip, link, paths.id);
      return { link, state };
    } catch (error) {
      await rm(paths.state);
      if (!(error instanceof LinkTaken)) throw error;
    }
  }
  throw new Error(`cluster ${paths.name}: every link address that was free a moment ago is taken now; try again`);
}

/** Host folders that must be reachable inside: where programs and images come from, and the cluster itself. */
function keptFolders(context: BootContext, programs: ServicePrograms): string[] {
  const folders = [context.home.root, context.home.cache, ...programs.path.split(":")].sort();
  return folders.filter(
    (folder, index) => !folders.some((other, at) => at < index && (folder === other || folder.startsWith(`${other}/`))),
  );
}

async function writeFiles(input: BootInput): Promise<void> {
  const { paths } = input;
  const cni = join(paths.config, "cni");
  const data = ["containerd", "kubelet", "pod-logs", "volumes", "etcd", "certificates", "tmp"];
  for (const folder of [cni, paths.logs, ...data.map((name) => join(paths.data, name))]) {
    await mkdir(folder, { recursive: true });
  }
  await Promise.all([
    writeFile(join(paths.config, "containerd.toml"), containerdConfig(input)),
    writeFile(join(cni, "10-orrery.conflist"), cniConfig()),
    writeFile(join(paths.config, "kubelet.json"), kubeletConfig(input)),
    writeFile(join(paths.config, "kube-proxy.json"), kubeProxyConfig(input)),
    writeFile(join(paths.config, "Corefile"), corefile(input)),
    writeFile(join(paths.config, "caddy.json"), caddyConfig()),
    writeFile(paths.bootScript, bootScript(input)),
  ]);
}

async function writeControlPlane(
  args: ControlPlaneArguments,
  programs: ServicePrograms,
  write: (service: Service) => Promise<void>,
): Promise<void> {
  for (const name of controlPlaneNames) await write(controlPlaneService(name, args[name], programs));
}

async function supervisorRuns(paths: ClusterPaths, signal: AbortSignal | undefined): Promise<void> {
  const there = async () => {
    try {
      await access(join(paths.services, ".s6-svscan", "control"));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  };
  if (await waitUntil(there, 20_000, { intervalMs: 10, signal })) return;
  throw new Error(`cluster ${paths.name}: the supervisor did not start:\n${await lastBootLines(paths)}`);
}

async function lastBootLines(paths: ClusterPaths): Promise<string> {
  return await run("tail", ["-n", "20", paths.bootLog]);
}

/** Has the supervisor look for new services: that is what this signal means to it. */
function rescan(init: ProcessIdentity): void {
  sendSignal(init.pid, "SIGALRM");
}

async function importPause(context: BootContext, programs: ServicePrograms, enter: readonly string[]): Promise<void> {
  const client = { enter, path: programs.path };
  const check = { name: "containerd answers", services: ["containerd"], holds: () => containerdAnswers(client) };
  await waitFor(check, context.paths, 30_000, context.signal);
  await importArchives(client, [context.pause], context.signal);
}

async function createBaseObjects(api: ClusterApi, link: Link): Promise<void> {
  const places: Readonly<Record<string, string>> = {
    StorageClass: "/apis/storage.k8s.io/v1/storageclasses",
    IngressClass: "/apis/networking.k8s.io/v1/ingressclasses",
    Service: "/api/v1/namespaces/kube-system/services",
    EndpointSlice: "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices",
  };
  const ensure = async () => {
    for (const object of baseObjects(link)) await api.ensure(places[object.kind] ?? "", object);
    return true;
  };
  // kube-system is made by the API server itself, a moment after it first answers.
  const there = () => api.answers("/api/v1/namespaces/kube-system");
  if (await waitUntil(there, 20_000)) await ensure();
  else throw new Error(`the namespace kube-system did not appear, so ${dnsServiceAddress} cannot serve DNS`);
}
