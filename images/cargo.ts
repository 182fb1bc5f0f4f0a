import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { run } from "../local/toolchain/exec.ts";
import { findOnPath } from "../local/toolchain/find.ts";
import type { OrreryHome } from "../local/toolchain/home.ts";
import { EnvironmentError } from "../schema/errors.ts";

/** A panic in rustup, cargo or a build script is told in its own words; the frames below it help nobody here. */
const withoutBacktrace = { RUST_BACKTRACE: "0" };

/**
 * Builds a program of a crate for this machine's own system, which the base image is made of.
 *
 * @param crate Folder of the crate, from the project's root.
 * @returns the path of the program
 */
export async function cargoBuild(
  crate: string,
  program: string,
  context: { readonly root: string; readonly home: OrreryHome; readonly signal: AbortSignal | undefined },
): Promise<string> {
  await requireRust(context.root, crate);
  const manifest = join(context.root, crate, "Cargo.toml");
  const target = process.env.CARGO_TARGET_DIR ?? join(context.home.cache, "cargo", basename(crate));
  const args = ["build", "--release", "--locked", "--manifest-path", manifest, "--bin", program];
  const env = { ...process.env, ...withoutBacktrace, CARGO_TARGET_DIR: target };
  await run("cargo", args, { env, signal: context.signal });
  return join(target, "release", program);
}

/**
 * Asks for the compiler a crate needs, so that its lack is found before minutes of other work.
 *
 * @throws EnvironmentError when no cargo of at least the crate's `rust-version` runs
 */
export async function requireRust(
  root: string,
  crate: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const manifest = await readFile(join(root, crate, "Cargo.toml"), "utf8");
  const min = /^rust-version = "([\d.]+)"$/m.exec(manifest)?.[1];
  if (min === undefined) throw new Error(`${crate}/Cargo.toml must say its rust-version`);
  const probe = { program: "cargo", args: ["--version"], pattern: /^cargo (\d+\.\d+\.\d+)/m, accepted: { min } };
  const found = await findOnPath({ version: min, programs: ["cargo"], probe }, { ...environment, ...withoutBacktrace });
  if (found.programs !== undefined) return;
  throw new EnvironmentError(
    `The image of ${crate} needs a Rust compiler, version ${min} or later: ${found.reason}.`,
    "Install Rust (https://rustup.rs, then `rustup default stable`) and a C linker (gcc), or use published images.",
  );
}
