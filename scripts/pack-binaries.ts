import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { cargoBuild } from "../images/cargo.ts";
import { images } from "../images/table.ts";
import { run } from "../local/toolchain/exec.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { lineProgress } from "../local/toolchain/progress.ts";
import { resolveTools } from "../local/toolchain/toolchain.ts";
import type { ToolName } from "../local/toolchain/versions.ts";

/**
 * Packs the compiled programs that are this project's own, for the machine's architecture: `node
 * scripts/pack-binaries.ts <folder>` writes `orrery-<version>-linux-<arch>.tar.gz` and its SHA-256 beside it. The same
 * programs make the same archive.
 */
const ours = {
  "kubernetes-plugin": "pulumi-resource-kubernetes",
  "ingress-controller": "ingress-controller",
  "volume-provisioner": "volume-provisioner",
  "quorum-agent": "orrery-quorum",
} as const satisfies Partial<Record<ToolName, string>>;

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: node scripts/pack-binaries.ts <folder>");
  process.exit(3);
}
const home = OrreryHome.fromEnvironment();
await home.prepare();
const root = join(import.meta.dirname, "..");
const progress = lineProgress((line) => console.error(line));
const tools = await resolveTools(home, Object.keys(ours) as (keyof typeof ours)[], { progress });
const crates = images.kv.parts.flatMap((part) => (part.kind === "cargo" ? [part] : []));
const compiled = crates.map(({ crate, program }) => cargoBuild(crate, program, { root, home, signal: undefined }));
const programs = [...Object.values(ours).map((program) => tools.path(program)), ...(await Promise.all(compiled))];

const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { readonly version: string };
const name = `orrery-${version}-linux-${process.arch === "x64" ? "amd64" : process.arch}`;
const work = await mkdtemp(join(tmpdir(), "orrery-pack-"));
try {
  const bin = join(work, name, "bin");
  await mkdir(bin, { recursive: true });
  for (const program of programs) await cp(program, join(bin, basename(program)), { dereference: true });
  await mkdir(folder, { recursive: true });
  const archive = join(folder, `${name}.tar.gz`);
  const fixed = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  await run("tar", [...fixed, "--use-compress-program=gzip -n", "-cf", archive, "-C", work, name]);
  const sum = createHash("sha256")
    .update(await readFile(archive))
    .digest("hex");
  await writeFile(`${archive}.sha256`, `${sum}  ${basename(archive)}\n`);
  console.log(`${archive}\n${programs.map((program) => `  ${basename(program)}`).join("\n")}`);
} finally {
  await rm(work, { recursive: true, force: true });
}
