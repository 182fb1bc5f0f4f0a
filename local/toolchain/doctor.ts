import { readFile } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { hasApt } from "./apt.ts";
import { exec } from "./exec.ts";
import { findOnPath } from "./find.ts";
import { freeBytes, minimumFreeBytes, type OrreryHome } from "./home.ts";
import { installHint } from "./packages.ts";
import { findOfficialPlugin } from "./pulumi.ts";
import { currentPlatform, type ToolSpec } from "./tool-spec.ts";
import { clusterTools, imageTools, locateTool, pulumiTools } from "./toolchain.ts";
import { compareVersions } from "./version-range.ts";
import { tools } from "./versions.ts";

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  /** `fail` stands in the way of the target, `warn` of a part of it. */
  readonly status: "ok" | "warn" | "fail";
  readonly found: string;
  readonly needed: string;
  /** What to do, empty when nothing is to be done. */
  readonly fix: string;
}

/** What is to be deployed to. */
export interface DoctorOptions {
  readonly target: "local" | "context";
  readonly environment?: NodeJS.ProcessEnv;
}

const minimumNode = "22.18.0";
const existingContext = "Use a cluster you can reach: npx orrery run <experiment> --context <kubeconfig context>";

/**
 * Looks at what this machine has and lacks for a target. Builds, downloads and writes nothing, and takes about a
 * second.
 */
export async function doctor(home: OrreryHome, options: DoctorOptions): Promise<Check[]> {
  const environment = options.environment ?? process.env;
  const local = options.target === "local";
  // Go counts its own use below the configuration folder; with none it counts nothing.
  const uncounted = { ...environment, XDG_CONFIG_HOME: "/dev/null", GOTOOLCHAIN: "local" };
  const go = await program("go", ["version"], /go(\d+\.\d+(?:\.\d+)?)/, uncounted);
  const apt = await hasApt();
  const groups = await Promise.all([
    machineChecks(home),
    local ? kernelChecks() : [],
    compilerChecks(go, environment, local),
    toolChecks(home, local ? [...pulumiTools, ...clusterTools, ...imageTools] : pulumiTools, go, apt, environment),
    pluginCheck(home, go, environment),
  ]);
  const checks = groups.flat();
  if (local) checks.push(aptCheck(apt));
  return checks;
}

async function machineChecks(home: OrreryHome): Promise<Check[]> {
  const free = await freeBytes(home.cache);
  const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  const cores = availableParallelism();
  const memory = totalmem();
  return [
    check(
      "node",
      compareVersions(process.versions.node, minimumNode) >= 0,
      process.versions.node,
      `${minimumNode} or later`,
      "Run npm ci: it brings a Node.js of its own for the npm scripts.",
    ),
    check(
      "disk",
      free >= minimumFreeBytes,
      `${gib(free)} free for ${home.cache}`,
      gib(minimumFreeBytes),
      "Free some space, or set ORRERY_HOME to a folder on another disk.",
    ),
    soften(
      check(
        "memory",
        memory >= 4 * 1024 ** 3,
        gib(memory),
        "4 GiB",
        "Expect nodes to be killed for lack of memory; use a smaller network or another machine.",
      ),
    ),
    soften(
      check(
        "cpu",
        cores >= 2,
        `${cores} cores`,
        "2 cores",
        "Expect invalid runs: the drivers will compete with the network.",
      ),
    ),
  ];
}

async function kernelChecks(): Promise<Check[]> {
  const platform = currentPlatform();
  const isSupported = platform === "linux-x64" || platform === "linux-arm64";
  const system = check("system", isSupported, platform, "linux-x64 or linux-arm64", existingContext);
  if (!isSupported) return [system];
  const isRoot = process.getuid?.() === 0;
  const user = check(
    "user",
    isRoot,
    isRoot ? "root" : `uid ${process.getuid?.()}`,
    "root",
    `Run it with sudo. ${existingContext}`,
  );
  return [system, user, ...(isRoot ? await namespaceChecks() : []), await overlayCheck(), await cgroupCheck()];
}

/** Tries in namespaces that end with the attempt. */
async function namespaceChecks(): Promise<Check[]> {
  const all = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork"];
  const namespaces = await attempt("unshare", [...all, "true"]);
  const network = (commands: string) => attempt("unshare", ["--net", "sh", "-c", commands]);
  const veth = await network("ip link add orrery0 type veth peer name orrery1");
  const bridge = await network("ip link add orrery0 type bridge");
  const fix = `Load the module (modprobe veth bridge), or run outside of a restricted container. ${existingContext}`;
  return [
    check(
      "namespaces",
      namespaces === "",
      namespaces || "can be made",
      "mount, net, pid, uts, ipc",
      `Run outside of a restricted container. ${existingContext}`,
    ),
    check("veth", veth === "", veth || "can be made", "virtual Ethernet pairs", fix),
    check("bridge", bridge === "", bridge || "can be made", "bridge devices", fix),
  ];
}

async function overlayCheck(): Promise<Check> {
  const filesystems = await readFile("/proc/filesystems", "utf8");
  const has = /\boverlay$/m.test(filesystems);
  return soften(
    check(
      "overlay",
      has,
      has ? "supported" : "not loaded",
      "overlay file system",
      "Without it images are copied, which is slow and large: modprobe overlay.",
    ),
  );
}

async function cgroupCheck(): Promise<Check> {
  const { version, controllers } = await cgroups();
  const needed = version === 2 ? ["cpu", "memory", "pids"] : ["cpu", "cpuacct", "memory", "pids", "devices"];
  const missing = needed.filter((controller) => !controllers.includes(controller));
  const found = `version ${version}, ${missing.length === 0 ? "all controllers" : `without ${missing.join(", ")}`}`;
  return check(
    "cgroups",
    missing.length === 0,
    found,
    needed.join(", "),
    "Enable the controllers (kernel command line, systemd), or run outside of a restricted container.",
  );
}

async function cgroups(): Promise<{ version: 1 | 2; controllers: string[] }> {
  const unified = await readFile("/sys/fs/cgroup/cgroup.controllers", "utf8").catch(() => undefined);
  if (unified !== undefined) return { version: 2, controllers: unified.trim().split(/\s+/) };
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  const lines = mounts.split("\n").filter((line) => line.includes(" - cgroup "));
  return { version: 1, controllers: lines.flatMap((line) => line.slice(line.lastIndexOf(" ") + 1).split(",")) };
}

interface Program {
  readonly version: string | undefined;
  readonly found: string;
}

async function compilerChecks(go: Program, environment: NodeJS.ProcessEnv, local: boolean): Promise<Check[]> {
  const goCheck = soften(
    check(
      "go",
      go.version !== undefined,
      go.found,
      "to build what has no release here",
      "Install Go (https://go.dev/dl).",
    ),
  );
  if (!local) return [goCheck];
  const cargo = await program("cargo", ["--version"], /cargo (\d+\.\d+\.\d+)/, environment);
  const cc = await program("cc", ["--version"], /(\d+\.\d+(?:\.\d+)?)/, environment);
  return [
    goCheck,
    soften(
      check(
        "cargo",
        cargo.version !== undefined,
        cargo.found,
        "to build the kv node",
        "Install Rust (https://rustup.rs).",
      ),
    ),
    soften(
      check(
        "cc",
        cc.version !== undefined,
        cc.found,
        "to link the kv node",
        "Install a C compiler: apt-get install gcc libc6-dev, or dnf install gcc.",
      ),
    ),
  ];
}

async function toolChecks(
  home: OrreryHome,
  names: readonly string[],
  go: Program,
  apt: boolean,
  environment: NodeJS.ProcessEnv,
): Promise<Check[]> {
  const table: Readonly<Record<string, ToolSpec>> = tools;
  return await Promise.all(
    [...new Set(names)].map(async (name) => {
      const spec = table[name];
      if (spec === undefined) throw new Error(`${name} is no tool`);
      const entry = await locateTool(home, name, { environment });
      if (entry !== undefined) return check(name, true, `${entry.version} (${entry.source})`, neededVersion(spec), "");
      return planned(name, spec, go, apt);
    }),
  );
}

/** A tool that is not here: how it would be made, or that it cannot be. */
function planned(name: string, spec: ToolSpec, go: Program, apt: boolean): Check {
  const ways: string[] = [];
  if (spec.release?.every((file) => file.url(currentPlatform()) !== undefined) === true) ways.push("official release");
  if (spec.build !== undefined && go.version !== undefined) ways.push("Go build");
  if (spec.packages !== undefined && apt) ways.push(`packages ${spec.packages.debian.join(", ")}, unpacked`);
  const found = ways.length === 0 ? "missing" : `not here yet: ${ways.join(", else ")}`;
  const fix =
    spec.build === undefined ? `Install it: ${installHint(spec.packages)}` : "Install Go (https://go.dev/dl).";
  return check(name, ways.length > 0, found, neededVersion(spec), fix);
}

async function pluginCheck(home: OrreryHome, go: Program, environment: NodeJS.ProcessEnv): Promise<Check[]> {
  const name = "kubernetes plugin";
  const official = await findOfficialPlugin(home, environment);
  if (official !== undefined) return [check(name, true, `official, ${official.version}`, "any", "")];
  const ours = await locateTool(home, "kubernetes-plugin", { environment });
  if (ours !== undefined) return [check(name, true, `Orrery's own, ${ours.version} (${ours.source})`, "any", "")];
  const found = go.version === undefined ? "none" : "none yet: official download, else Go build";
  const fix = "pulumi plugin install resource kubernetes, or install Go.";
  return [soften(check(name, go.version !== undefined, found, "any", fix))];
}

function aptCheck(apt: boolean): Check {
  return soften(
    check(
      "apt",
      apt,
      apt ? "apt-get and dpkg-deb" : "none",
      "to unpack missing tools",
      "Install the tools marked above by hand.",
    ),
  );
}

function neededVersion(spec: ToolSpec): string {
  return spec.probe === undefined ? spec.version : `${spec.probe.accepted.min} or later`;
}

async function program(
  name: string,
  args: string[],
  pattern: RegExp,
  environment: NodeJS.ProcessEnv,
): Promise<Program> {
  const probe = { program: name, args, pattern, accepted: { min: "0" } };
  const found = await findOnPath({ version: "", programs: [name], probe }, environment);
  return found.programs === undefined
    ? { version: undefined, found: found.reason }
    : { version: found.version, found: found.version };
}

/** @returns what went wrong, empty when nothing did */
async function attempt(file: string, args: readonly string[]): Promise<string> {
  try {
    const result = await exec(file, args, { timeoutMs: 5000 });
    return result.code === 0 ? "" : result.stderr.trim() || `${file} ended with ${result.code}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return `${file} is not on PATH`;
    throw error;
  }
}

function check(name: string, isGood: boolean, found: string, needed: string, fix: string): Check {
  return { name, status: isGood ? "ok" : "fail", found, needed, fix: isGood ? "" : fix };
}

function soften(result: Check): Check {
  return result.status === "fail" ? { ...result, status: "warn" } : result;
}
