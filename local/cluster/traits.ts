import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "../toolchain/exec.ts";
import type { MachineTraits } from "./config.ts";

/** Bit of CAP_SYS_RESOURCE in the kernel's capability masks. */
const capSysResource = 24n;

/** Whether an effective capability mask, as /proc/<pid>/status writes it, holds CAP_SYS_RESOURCE. */
export function holdsSysResource(status: string): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return mask !== undefined && ((BigInt(`0x${mask}`) >> capSysResource) & 1n) === 1n;
}

/**
 * What this machine can do.
 *
 * @param snapshotter The storage driver an existing cluster keeps its images with; it cannot change later.
 * @param folder Where a new cluster's images will be; tried out when `snapshotter` is not given.
 */
export async function machineTraits(
  snapshotter: MachineTraits["snapshotter"] | undefined,
  folder = "/",
): Promise<MachineTraits> {
  return {
    canLowerOomScore: holdsSysResource(await readFile("/proc/self/status", "utf8")),
    snapshotter: snapshotter ?? ((await takesOverlay(folder)) ? "overlayfs" : "native"),
  };
}

/** Tries a writable overlay on the file system of `folder`, in a mount namespace that ends with the try. */
export async function takesOverlay(folder: string): Promise<boolean> {
  const probe = join(folder, "overlay-probe");
  const at = (name: string) => join(probe, name);
  for (const name of ["lower", "upper", "work", "merged"]) await mkdir(at(name), { recursive: true });
  await writeFile(at("lower/file"), "lower");
  const script =
    'cd "$0" && mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work probe merged && rm merged/file';
  const tried = await exec("unshare", ["--mount", "--propagation", "private", "/bin/sh", "-c", script, probe]);
  await rm(probe, { recursive: true, force: true });
  return tried.code === 0;
}
