import { stat } from "node:fs/promises";
import { join } from "node:path";
import { EnvironmentError } from "../../schema/errors.ts";
import { exec } from "./exec.ts";

/** A program inside an unpacked package. */
export interface Unpacked {
  readonly tool: string;
  readonly program: string;
  /** The folder the packages were unpacked into. */
  readonly root: string;
  /** The program's path in it. */
  readonly path: string;
  /** Folders with shared libraries in it. */
  readonly libraries: readonly string[];
}

/**
 * The script that starts a program with what it cannot find by itself, or `undefined` when a plain link does. The
 * library path is set only where the system lacks a library, because children inherit it.
 */
export async function wrapperFor(unpacked: Unpacked): Promise<string | undefined> {
  if (unpacked.tool === "chromium") return await chromiumScript(unpacked);
  const target = join(unpacked.root, unpacked.path);
  const environment = await libraryEnvironment(target, unpacked.libraries);
  if (unpacked.tool === "buildah") return buildahScript(target, unpacked.root, environment);
  if (unpacked.tool === "iptables") environment.XTABLES_LIBDIR = xtablesFolder(unpacked.libraries);
  if (Object.keys(environment).length === 0) return undefined;
  return script(environment, `exec ${quote(target)} "$@"`);
}

/**
 * Programs that the packages name only when they are installed: `iptables` is a link that the installation makes, to
 * the variant the kernel supports.
 */
export async function aliasesFor(options: {
  readonly tool: string;
  readonly root: string;
  readonly libraries: readonly string[];
  readonly signal?: AbortSignal | undefined;
}): Promise<{ program: string; script: string }[]> {
  if (options.tool !== "iptables") return [];
  const sbin = join(options.root, "usr/sbin");
  const environments = new Map<string, Record<string, string>>();
  for (const variant of ["nft", "legacy"]) {
    const environment = await libraryEnvironment(join(sbin, `iptables-${variant}`), options.libraries);
    environments.set(variant, { ...environment, XTABLES_LIBDIR: xtablesFolder(options.libraries) });
  }
  const variant = await supportedVariant(sbin, environments, options.signal);
  const environment = environments.get(variant) ?? {};
  return ["iptables", "ip6tables"].flatMap((family) =>
    ["", "-save", "-restore"].map((suffix) => ({
      program: `${family}${suffix}`,
      script: script(environment, `exec ${quote(join(sbin, `${family}-${variant}${suffix}`))} "$@"`),
    })),
  );
}

/** Tries the kinds of rules kube-proxy and the port-mapping plugin write, in a network namespace that ends with it. */
async function supportedVariant(
  sbin: string,
  environments: ReadonlyMap<string, Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (process.getuid?.() !== 0) return "nft";
  const rule =
    '"$1" -w -t nat -A POSTROUTING -m comment --comment probe -m statistic --mode random --probability 0.5 ' +
    "-m mark ! --mark 0x4000/0x4000 -j MASQUERADE && " +
    '"$1" -w -t filter -A FORWARD -m conntrack --ctstate INVALID -j DROP';
  const reasons: string[] = [];
  for (const [variant, environment] of environments) {
    const args = ["--net", "sh", "-c", rule, "sh", join(sbin, `iptables-${variant}`)];
    const result = await exec("unshare", args, { env: { ...process.env, ...environment }, signal });
    if (result.code === 0) return variant;
    reasons.push(`${variant}: ${result.stderr.trim()}`);
  }
  throw new EnvironmentError(
    `This kernel supports neither variant of iptables in a network namespace of its own (${reasons.join("; ")}).`,
    "Load the modules nf_tables, nft_compat, xt_statistic, xt_conntrack, xt_mark and xt_MASQUERADE, or use another kernel.",
  );
}

async function libraryEnvironment(target: string, libraries: readonly string[]): Promise<Record<string, string>> {
  const missing = await missingLibraries(target, {});
  if (missing.length === 0) return {};
  const environment = { LD_LIBRARY_PATH: libraries.join(":") };
  const still = await missingLibraries(target, environment);
  if (still.length === 0) return environment;
  throw new EnvironmentError(
    `${target} needs the libraries ${still.join(", ")}, which neither this system nor the unpacked packages have.`,
    "Install the packages that hold them, or install the program itself and put it on PATH.",
  );
}

async function missingLibraries(target: string, environment: Record<string, string>): Promise<string[]> {
  const result = await exec("ldd", [target], { env: { ...process.env, LC_ALL: "C", ...environment } });
  return [...result.stdout.matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1] as string);
}

function xtablesFolder(libraries: readonly string[]): string {
  return join(libraries[0] ?? "/usr/lib", "xtables");
}

/** Puts the option behind the command, which comes after buildah's global options. */
const signaturePolicy = `left=$#; found=; value=
while [ "$left" -gt 0 ]; do
  word=$1; shift; set -- "$@" "$word"; left=$((left - 1))
  if [ -n "$found" ]; then continue; fi
  if [ -n "$value" ]; then value=; continue; fi
  case $word in
    --root|--runroot|--storage-driver|--storage-opt|--log-level|--cgroup-manager) value=1 ;;
    --registries-conf|--registries-conf-dir|--short-name-alias-conf|--userns-uid-map|--userns-gid-map) value=1 ;;
    -*) ;;
    build|bud|commit|from|pull|push) found=1; set -- "$@" --signature-policy POLICY ;;
    *) found=1 ;;
  esac
done`;

/**
 * buildah reads its trust policy from /etc or the user's home alone; where the system has none, the one of the package
 * is named on the command line of those commands that take it.
 */
async function buildahScript(target: string, root: string, environment: Record<string, string>): Promise<string> {
  const lines: string[] = [];
  const registries = join(root, "etc/containers/registries.conf");
  const policy = join(root, "etc/containers/policy.json");
  const has = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;
  if (!(await has("/etc/containers/registries.conf")) && (await has(registries))) {
    lines.push(`export CONTAINERS_REGISTRIES_CONF="\${CONTAINERS_REGISTRIES_CONF:-${registries}}"`);
  }
  const plain = `exec ${quote(target)} "$@"`;
  if (!(await has("/etc/containers/policy.json")) && (await has(policy))) {
    lines.push(signaturePolicy.replace("POLICY", quote(policy)));
  }
  return script(environment, [...lines, plain].join("\n"));
}

/**
 * The package's own start script looks for the browser below /usr, so it is passed over. Where the system has no
 * fontconfig, the unpacked one is used; it finds the unpacked fonts as those of the user's data folder.
 */
async function chromiumScript({ root, libraries }: Unpacked): Promise<string> {
  const target = join(root, "usr/lib/chromium/chromium");
  const environment = await libraryEnvironment(
    target,
    libraries.flatMap((folder) => [folder, join(folder, "pulseaudio")]),
  );
  const fonts = join(root, "etc/fonts/fonts.conf");
  const has = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;
  if (!(await has("/etc/fonts/fonts.conf")) && (await has(fonts))) {
    environment.FONTCONFIG_FILE = fonts;
    environment.XDG_DATA_HOME = join(root, "usr/share");
  }
  return script(environment, `exec ${quote(target)} "$@"`);
}

function script(environment: Record<string, string>, body: string): string {
  const sets = Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}`);
  return ["#!/bin/sh", ...sets, body, ""].join("\n");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
