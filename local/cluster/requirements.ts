import { EnvironmentError } from "../../schema/errors.ts";
import { exec } from "../toolchain/exec.ts";
import { cgroupLayout } from "./cgroups.ts";

const elsewhere =
  "Or use a cluster you have: npx orrery run <experiment> --context <kubeconfig context> --image kv=<reference> --image driver=<reference>";

/**
 * @throws EnvironmentError unless this is Linux and the user is root
 */
export function requireLinuxRoot(): void {
  if (process.platform !== "linux") {
    throw new EnvironmentError(`The local cluster needs Linux; this is ${process.platform}.`, elsewhere);
  }
  if (process.getuid?.() !== 0) {
    throw new EnvironmentError(
      `The local cluster needs root to make namespaces; this is user ${process.getuid?.()}.`,
      `Start it as root: sudo -E env "PATH=$PATH" npx orrery ...\n  ${elsewhere}`,
    );
  }
}

/** Steps that need a kernel feature each, tried in namespaces that end with the try. */
const probes: readonly { readonly feature: string; readonly script: string; readonly module: string }[] = [
  { feature: "veth interfaces", script: "ip link add probe0 type veth peer name probe1", module: "veth" },
  {
    feature: "overlay file systems",
    script: "mount -t tmpfs t /mnt && mkdir /mnt/a /mnt/b && mount -t overlay -o lowerdir=/mnt/a:/mnt/b o /mnt/a",
    module: "overlay",
  },
  { feature: "bind mounts over /proc/sys", script: "mount --bind /dev/null /proc/sys/kernel/panic", module: "none" },
];

/**
 * Checks that a cluster can run on this machine before anything is made.
 *
 * @throws EnvironmentError saying what is missing and what to do
 */
export async function requireCapableMachine(): Promise<void> {
  requireLinuxRoot();
  await cgroupLayout();
  const unshare = [
    "--mount",
    "--net",
    "--pid",
    "--uts",
    "--ipc",
    "--fork",
    "--propagation",
    "private",
    "--",
    "/bin/sh",
    "-c",
  ];
  const made = await exec("unshare", [...unshare, "true"]).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new EnvironmentError("The program unshare is missing.", "Install the package util-linux.", { cause: error });
  });
  if (made.code !== 0) {
    throw new EnvironmentError(
      `This process may not make namespaces, although it is root: ${made.stderr.trim()}.`,
      `In a container, run it privileged (with CAP_SYS_ADMIN and no seccomp filter). ${elsewhere}`,
    );
  }
  for (const { feature, script, module } of probes) {
    const tried = await exec("unshare", [...unshare, script]);
    if (tried.code === 0) continue;
    const load = module === "none" ? "" : `Load the kernel module: \`modprobe ${module}\`. `;
    throw new EnvironmentError(`The kernel has no ${feature}: ${tried.stderr.trim()}.`, `${load}${elsewhere}`);
  }
}
