import { type Check, doctor } from "../local/toolchain/doctor.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { locateTool } from "../local/toolchain/toolchain.ts";
import { kindNodeImage } from "../local/toolchain/versions.ts";
import { EnvironmentError } from "../schema/errors.ts";
import type { TargetSettings } from "../targets/module.ts";
import { kindState } from "./cluster.ts";
import { type DockerInfo, dockerInfo, hasImage } from "./docker.ts";
import { kindOptionsOf } from "./options.ts";

const gib = 1024 ** 3;

/** What this machine has and lacks for a kind cluster; changes nothing. */
export async function kindPreflight(settings: TargetSettings): Promise<readonly Check[]> {
  const home = OrreryHome.fromEnvironment();
  const checks = await doctor(home, { target: "context" });
  const kind = await locateTool(home, "kind");
  const found =
    kind === undefined ? "not here yet: official release, else Go build" : `${kind.version} (${kind.source})`;
  const tool: Check = { name: "kind", status: "ok", found, needed: "0.27.0 or later", fix: "" };
  return [...checks, tool, ...(await dockerChecks(settings))];
}

async function dockerChecks(settings: TargetSettings): Promise<Check[]> {
  const needed = "Docker Engine that answers";
  try {
    const info = await dockerInfo();
    const docker: Check = { name: "docker", status: "ok", found: info.version, needed, fix: "" };
    return [docker, memoryCheck(info), await clusterCheck(settings), await imageCheck(settings)];
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    const [found = "", ...fix] = error.message.split("\n");
    return [{ name: "docker", status: "fail", found, needed, fix: fix.join(" ").trim() }];
  }
}

function memoryCheck({ cpus, memoryBytes }: DockerInfo): Check {
  // kubeadm's control plane asks for 0.85 CPU of the first node, whatever runs beside it.
  const isEnough = memoryBytes >= 4 * gib && cpus >= 3;
  return {
    name: "docker resources",
    status: isEnough ? "ok" : "warn",
    found: `${cpus} CPUs, ${(memoryBytes / gib).toFixed(1)} GiB`,
    needed: "3 CPUs, 4 GiB",
    fix: isEnough
      ? ""
      : "Give Docker more (Docker Desktop: Settings, Resources), or use a smaller network with fewer workers.",
  };
}

async function clusterCheck(settings: TargetSettings): Promise<Check> {
  const { cluster } = kindOptionsOf(settings);
  const found = await kindState(cluster);
  return {
    name: "kind cluster",
    status: found.state === "broken" ? "fail" : "ok",
    found: found.state === "broken" ? found.detail : `${cluster}: ${found.state}`,
    needed: "running, or absent: it is made then",
    fix: found.state === "broken" ? "Remove it with `npx orrery kind down`." : "",
  };
}

async function imageCheck(settings: TargetSettings): Promise<Check> {
  const { nodeImage } = kindOptionsOf(settings);
  const reference = nodeImage === "auto" ? kindNodeImage : nodeImage;
  const isPresent = reference !== "built" && (await hasImage(reference));
  const plan = nodeImage === "auto" ? "pulled, else built here" : reference === "built" ? "built here" : "pulled";
  const found = isPresent ? `${reference.split("@")[0]}: present` : `not looked for yet: ${plan}`;
  return { name: "node image", status: "ok", found, needed: "an image of a node", fix: "" };
}
