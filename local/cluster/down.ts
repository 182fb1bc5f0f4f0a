import { exec } from "../toolchain/exec.ts";
import { type CgroupLayout, cgroupLayout, cgroupPids, removeCgroups } from "./cgroups.ts";
import { enterCommand, findInit, pathOf } from "./init.ts";
import { disconnect } from "./network.ts";
import type { ClusterPaths } from "./paths.ts";
import { isAlive, type ProcessIdentity, readProc, signal, waitUntil } from "./processes.ts";

/** How long pods have to end by themselves. */
export const podGraceMs = 4_000;
/** How long etcd and containerd have to write what they hold. */
const flushMs = 4_000;

/** Programs of the system that stopping needs; found on PATH where the toolchain is not resolved. */
export interface StopPrograms {
  readonly ip: string;
  readonly nsenter: string;
}

/** {@link StopPrograms} as every Linux system has them. */
export const systemPrograms: StopPrograms = { ip: "ip", nsenter: "nsenter" };

/**
 * Stops a cluster if it runs and removes what it leaves on the machine; its data stays. Works whatever state it is in:
 * running, half started, or killed.
 *
 * @param graceful Let pods end and data be written first; without it everything is killed at once.
 */
export async function stopCluster(
  paths: ClusterPaths,
  graceful: boolean,
  programs: StopPrograms = systemPrograms,
): Promise<void> {
  const { init, parents } = await findInit(paths);
  const layout = await cgroupLayout();
  if (init !== undefined) {
    if (graceful) await stopServices(paths, init, layout, programs);
    signal(init.pid, "SIGKILL");
    await waitUntil(async () => !(await isAlive(init)), 10_000, { intervalMs: 20 });
  }
  for (const parent of parents) signal(parent.pid, "SIGKILL");
  await disconnect(programs.ip, paths.id);
  await waitUntil(
    async () => {
      await removeCgroups(layout, paths.id);
      return (await cgroupPids(layout, paths.id)).length === 0;
    },
    5_000,
    { intervalMs: 50 },
  );
  await removeCgroups(layout, paths.id);
}

/** First whatever would start pods again, then the pods, then those that hold data. */
async function stopServices(
  paths: ClusterPaths,
  init: ProcessIdentity,
  layout: CgroupLayout,
  programs: StopPrograms,
): Promise<void> {
  const control = async (services: readonly string[], waitMs: number) => {
    const [program = "", ...args] = enterCommand(programs.nsenter, init);
    const lines = services.map((name) => `[ ! -d ${name}/supervise ] || s6-svc -wd -T ${waitMs} -d ${name} &`);
    const script = `cd "$0" || exit 1\n${lines.join("\n")}\nwait`;
    await exec(program, [...args, "/bin/sh", "-c", script, paths.services], {
      env: { PATH: await pathOf(init) },
      timeoutMs: waitMs + 2_000,
    });
  };
  await control(
    [
      "kubelet",
      "kube-scheduler",
      "kube-controller-manager",
      "kube-proxy",
      "volume-provisioner",
      "ingress-controller",
      "caddy",
    ],
    1_000,
  );
  await stopPods(layout, paths.id);
  await control(["etcd", "containerd"], flushMs);
}

/** Asks every process of every pod to end and waits until they have, at most {@link podGraceMs}. */
async function stopPods(layout: CgroupLayout, id: string): Promise<void> {
  const pids = await cgroupPids(layout, id);
  const waiting: number[] = [];
  for (const pid of pids) {
    const name = (await readProc(`${pid}/comm`))?.trim();
    if (name === undefined || name === "pause") continue;
    signal(pid, "SIGTERM");
    waiting.push(pid);
  }
  if (waiting.length === 0) return;
  await waitUntil(async () => {
    const left = new Set(await cgroupPids(layout, id));
    return waiting.every((pid) => !left.has(pid));
  }, podGraceMs);
}
