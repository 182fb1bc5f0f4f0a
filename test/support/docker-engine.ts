import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { exec } from "../../local/toolchain/exec.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { lineProgress } from "../../local/toolchain/progress.ts";
import { resolveTools } from "../../local/toolchain/toolchain.ts";

/** A Docker Engine to test with. */
export interface DockerEngine {
  /** What programs need in their environment to talk to it. */
  readonly env: Readonly<Record<string, string>>;
  /** What goes before a command so that it reaches the ports the engine publishes; empty for the machine's own. */
  readonly enter: readonly string[];
  /** Ends it; of one of ours nothing is left. */
  readonly stop: () => Promise<void>;
}

const answerDeadlineMs = 180_000;

/** The engine of this machine or, where none answers, a private one of the distribution's packages (Linux, root). */
export async function dockerEngine(folder: string): Promise<DockerEngine> {
  const own = await exec("docker", ["info", "--format", "{{.ServerVersion}}"]).catch(() => undefined);
  if (own?.code === 0) return { env: {}, enter: [], stop: async () => {} };
  return await privateEngine(folder);
}

/** dockerd in namespaces of its own: no network but its own, and its end takes all it started along. */
async function privateEngine(folder: string): Promise<DockerEngine> {
  const { path, unshare } = await enginePrograms(folder);
  const socket = `unix://${join(folder, "docker.sock")}`;
  const cgroup = `orrery-docker-${process.pid}`;
  const log = await open(join(folder, "dockerd.log"), "w");
  const args = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc", "sh", "-c"];
  const server = spawn(unshare, [...args, script, "sh", join(folder, "data"), socket, cgroup], {
    env: { ...process.env, PATH: path },
    stdio: ["ignore", log.fd, log.fd],
  });
  await log.close();
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      const ended = once(server, "exit");
      server.kill("SIGKILL");
      await ended;
    }
    await removeCgroups(cgroup);
  };
  const env = { PATH: path, DOCKER_HOST: socket };
  try {
    await answering(server, env, join(folder, "dockerd.log"));
    return { env, enter: ["nsenter", "--net", "--target", await childOf(server)], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Addresses of a range for benchmarks (RFC 2544), which no network has in use. */
const script = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
ip link set lo up
exec dockerd --data-root "$1" --exec-root /run/docker -H "$2" --cgroup-parent "/$3" --bip 198.18.255.1/24 \\
  --default-address-pool base=198.18.128.0/18,size=24`;

async function enginePrograms(folder: string): Promise<{ readonly path: string; readonly unshare: string }> {
  const progress = lineProgress((line) => process.stderr.write(`${line}\n`));
  const wanted = ["docker-engine", "containerd", "runc", "iptables", "iproute2", "util-linux"] as const;
  const tools = await resolveTools(OrreryHome.fromEnvironment(), wanted, { progress });
  const programs = ["dockerd", "containerd", "runc", "iptables", "ip", "unshare"];
  const folders = programs.map((program) => dirname(tools.path(program)));
  const before = (await lacksResourceCapability()) ? [await weakerRunc(folder, tools.path("runc"))] : [];
  const path = [...new Set([...before, ...folders, process.env.PATH ?? ""])].join(delimiter);
  return { path, unshare: tools.path("unshare") };
}

async function lacksResourceCapability(): Promise<boolean> {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(await readFile("/proc/self/status", "utf8"))?.[1] ?? "0";
  return (BigInt(`0x${bounding}`) & (1n << 24n)) === 0n;
}

/** @returns a folder with a runc that leaves out what this machine's root does not have */
async function weakerRunc(folder: string, runc: string): Promise<string> {
  const bin = join(folder, "bin");
  await mkdir(bin, { recursive: true });
  const edit = `"${process.execPath}" "${join(import.meta.dirname, "runc-capabilities.ts")}"`;
  const lines = [
    "#!/bin/sh",
    "last=",
    'for word in "$@"; do',
    '  case "$last" in',
    `    --bundle) ${edit} "$word/config.json" ;;`,
    `    --process) ${edit} "$word" ;;`,
    "  esac",
    '  last="$word"',
    "done",
    `exec "${runc}" "$@"`,
  ];
  await writeFile(join(bin, "runc"), `${lines.join("\n")}\n`, { mode: 0o755 });
  return bin;
}

async function answering(server: ChildProcess, env: Record<string, string>, log: string): Promise<void> {
  const deadline = Date.now() + answerDeadlineMs;
  for (;;) {
    const asked = await exec("docker", ["info"], { env: { ...process.env, ...env } });
    if (asked.code === 0) return;
    if (server.exitCode !== null || Date.now() > deadline) {
      throw new Error(`dockerd does not answer:\n${(await readFile(log, "utf8")).split("\n").slice(-20).join("\n")}`);
    }
    await delay(1000);
  }
}

async function childOf({ pid = 0 }: ChildProcess): Promise<string> {
  const [child = ""] = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ");
  if (child === "") throw new Error("dockerd has ended");
  return child;
}

/** The cgroups of containers outlive them where the engine had no time to remove them. */
async function removeCgroups(name: string): Promise<void> {
  const mounts = await readdir("/sys/fs/cgroup");
  const roots = ["/sys/fs/cgroup", ...mounts.map((mount) => join("/sys/fs/cgroup", mount))];
  for (const root of roots) await removeCgroup(join(root, name));
}

async function removeCgroup(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeCgroup(join(folder, entry.name));
  for (let attempt = 0; attempt < 60; attempt += 1) {
    try {
      return await rmdir(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") return;
      if (code !== "EBUSY") throw error; // a process in it is still ending
      await delay(500);
    }
  }
  throw new Error(`the cgroup ${folder} has processes that do not end`);
}
