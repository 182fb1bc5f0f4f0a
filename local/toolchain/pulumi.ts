import { mkdir, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { exec } from "./exec.ts";
import { isExecutable } from "./find.ts";
import type { OrreryHome } from "./home.ts";
import { withLock } from "./lock.ts";
import { unreachable } from "./network.ts";
import { silentProgress } from "./progress.ts";
import { pruneWhenComplete, type ResolveOptions, resolveTools, type Tools } from "./toolchain.ts";
import { compareVersions } from "./version-range.ts";
import { kubernetesPluginVersion } from "./versions.ts";

/** Everything `pulumi` needs to act on the stacks of one home. */
export interface PulumiEnvironment {
  /** Absolute path of the command. */
  readonly pulumi: string;
  /** Variables to merge over `process.env`, PATH included. */
  readonly env: Readonly<Record<string, string>>;
  /** Who serves Kubernetes resources: the official plugin wherever there is one, else the one of this project. */
  readonly kubernetesPlugin: "official" | "orrery";
  /** Absolute path of the plugin's program. */
  readonly pluginPath: string;
}

/** An official plugin that is there. */
export interface OfficialPlugin {
  readonly program: string;
  readonly version: string;
  /** Pulumi's own folder for it, another folder of plugins, or PATH. */
  readonly where: "home" | "elsewhere" | "path";
}

const program = "pulumi-resource-kubernetes";
const origin = "https://get.pulumi.com";
/** After an attempt to download the plugin has failed, this long none is made. */
const retryAfterMs = 24 * 3_600_000;

/**
 * Sets Pulumi up for a home: backend in a folder, passphrase file, plugins of its own, and the Kubernetes plugin.
 * The official plugin always wins: from `$PULUMI_HOME/plugins`, `~/.pulumi/plugins` (only read) or PATH, or downloaded
 * by `pulumi plugin install`; only where there is none does ours go on PATH, from a folder that holds nothing else.
 *
 * @param tools Result of `resolveTools` with `pulumiTools`
 */
export async function pulumiEnvironment(
  home: OrreryHome,
  tools: Tools,
  options: ResolveOptions = {},
): Promise<PulumiEnvironment> {
  const environment = options.environment ?? process.env;
  await mkdir(home.state, { recursive: true, mode: 0o700 });
  await mkdir(join(home.pulumi, "plugins"), { recursive: true });
  const fixed = {
    PULUMI_HOME: home.pulumi,
    PULUMI_BACKEND_URL: `file://${home.state}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: await home.ensurePassphrase(),
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const pulumi = tools.path("pulumi");
  const path = withoutOurs(home, [dirname(process.execPath), ...tools.env.PATH.split(delimiter)]);
  const base = { pulumi, env: { ...fixed, PATH: path.join(delimiter) } };
  const official =
    (await exactOfficial(home, environment)) ??
    (await install(home, pulumi, { ...environment, ...base.env }, options)) ??
    (await otherOfficial(home, environment));
  if (official !== undefined) {
    if (official.where === "elsewhere") await linkInto(home, official);
    const isExact = official.where === "home" || official.version === kubernetesPluginVersion;
    const folders = isExact || official.where === "path" ? path : [dirname(official.program), ...path];
    const env = { ...base.env, PATH: folders.join(delimiter) };
    await pruneWhenComplete(home, options, ["kubernetes-plugin"]);
    return { pulumi, env, kubernetesPlugin: "official", pluginPath: official.program };
  }
  const ours = await resolveTools(home, ["kubernetes-plugin"], options);
  const pluginPath = ours.path(program);
  const env = { ...base.env, PATH: [dirname(pluginPath), ...path].join(delimiter) };
  return { pulumi, env, kubernetesPlugin: "orrery", pluginPath };
}

/** The official plugin that would be used, if there is one on this machine; reads only. */
export async function findOfficialPlugin(
  home: OrreryHome,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<OfficialPlugin | undefined> {
  return (await exactOfficial(home, environment)) ?? (await otherOfficial(home, environment));
}

/** The version that the npm package asks for, in a folder of plugins; or any copy on PATH, which Pulumi prefers. */
async function exactOfficial(home: OrreryHome, environment: NodeJS.ProcessEnv): Promise<OfficialPlugin | undefined> {
  for (const folder of withoutOurs(home, (environment.PATH ?? "").split(delimiter))) {
    const path = join(folder, program);
    if (folder !== "" && (await isExecutable(path))) return { program: path, version: "on PATH", where: "path" };
  }
  for (const folder of pluginFolders(home, environment)) {
    const found = (await pluginsIn(home, folder)).find((plugin) => plugin.version === kubernetesPluginVersion);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The newest of another version of the same major: used where the right one cannot be downloaded. */
async function otherOfficial(home: OrreryHome, environment: NodeJS.ProcessEnv): Promise<OfficialPlugin | undefined> {
  const major = kubernetesPluginVersion.slice(0, kubernetesPluginVersion.indexOf("."));
  const all: OfficialPlugin[] = [];
  for (const folder of pluginFolders(home, environment)) all.push(...(await pluginsIn(home, folder)));
  const fitting = all.filter((plugin) => plugin.version.startsWith(`${major}.`));
  return fitting.sort((left, right) => compareVersions(right.version, left.version))[0];
}

function pluginFolders(home: OrreryHome, environment: NodeJS.ProcessEnv): string[] {
  const users = environment.PULUMI_HOME || join(environment.HOME ?? homedir(), ".pulumi");
  const standard = join(environment.HOME ?? homedir(), ".pulumi");
  return [...new Set([home.pulumi, users, standard])].map((folder) => join(folder, "plugins"));
}

async function pluginsIn(home: OrreryHome, folder: string): Promise<OfficialPlugin[]> {
  const names: string[] = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR" || error.code === "EACCES") return [];
    throw error;
  });
  const found: OfficialPlugin[] = [];
  for (const name of names) {
    const version = /^resource-kubernetes-v(\d+\.\d+\.\d+)$/.exec(name)?.[1];
    // Pulumi leaves this file beside a folder whose download has not ended.
    if (version === undefined || names.includes(`${name}.partial`)) continue;
    const path = join(folder, name, program);
    const where = folder === join(home.pulumi, "plugins") ? "home" : "elsewhere";
    if (await isExecutable(path)) found.push({ program: path, version, where });
  }
  return found;
}

/**
 * Makes a plugin of another folder known to Pulumi: it looks into real folders only, so the folder is made and what is
 * in it linked.
 */
async function linkInto(home: OrreryHome, plugin: OfficialPlugin): Promise<void> {
  const folder = join(home.pulumi, "plugins", `resource-kubernetes-v${plugin.version}`);
  await withLock(join(home.pulumi, "plugins.lock"), async () => {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const source = dirname(plugin.program);
    for (const name of await readdir(source)) await symlink(join(source, name), join(folder, name));
  });
}

async function install(
  home: OrreryHome,
  pulumi: string,
  env: NodeJS.ProcessEnv,
  { progress = silentProgress, signal }: ResolveOptions,
): Promise<OfficialPlugin | undefined> {
  const marker = join(home.pulumi, "kubernetes-plugin-unavailable");
  const last = await stat(marker).catch(() => undefined);
  if (last !== undefined && Date.now() - last.mtimeMs < retryAfterMs) return undefined;
  const reason = await unreachable(origin);
  if (reason === undefined) {
    const task = `download of the Kubernetes plugin ${kubernetesPluginVersion}`;
    progress.start(task);
    const args = ["plugin", "install", "resource", "kubernetes", kubernetesPluginVersion];
    const result = await exec(pulumi, args, { env, signal });
    const found = (await pluginsIn(home, join(home.pulumi, "plugins"))).find(
      (plugin) => plugin.version === kubernetesPluginVersion,
    );
    if (result.code === 0 && found !== undefined) {
      progress.done(task);
      return found;
    }
    progress.fail(task, result.stderr.trim());
  }
  await writeFile(marker, `${reason ?? "the download failed"}\n`);
  return undefined;
}

function withoutOurs(home: OrreryHome, folders: readonly string[]): string[] {
  const ours = join(home.tools, "kubernetes-plugin-");
  return [...new Set(folders)].filter((folder) => !folder.startsWith(ours));
}
