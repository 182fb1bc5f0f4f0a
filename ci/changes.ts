import { join, posix } from "node:path";
import { type ImageSpec, images } from "../images/table.ts";
import { run } from "../local/toolchain/exec.ts";
import { EnvironmentError } from "../schema/errors.ts";

/** The two commits a pull request is about, and what lies between them. */
export interface ChangeSet {
  /** Where the pull request left its base branch; full hashes. */
  readonly base: string;
  readonly head: string;
  /** Paths relative to the project that differ between them. */
  readonly files: readonly string[];
}

/**
 * Reads the change from git.
 *
 * @param base Branch, tag or commit the pull request goes to
 * @throws EnvironmentError when git or the history is missing
 */
export async function changesSince(project: string, base: string): Promise<ChangeSet> {
  const fork = await git(project, ["merge-base", base, "HEAD"]);
  const head = await git(project, ["rev-parse", "HEAD"]);
  const listed = await git(project, ["diff", "--name-only", "--relative", "-z", fork, head]);
  return { base: fork, head, files: listed.split("\0").filter((file) => file !== "") };
}

/** A file as it was in a commit, or undefined when it was not there. */
export async function fileAt(project: string, commit: string, file: string): Promise<string | undefined> {
  const present = await git(project, ["ls-tree", "--name-only", commit, "--", file]);
  return present === "" ? undefined : await git(project, ["show", `${commit}:./${file}`]);
}

/** Files directly in a folder of a commit. */
export async function filesAt(project: string, commit: string, folder: string): Promise<string[]> {
  const listed = await git(project, ["ls-tree", "--name-only", "-z", commit, "--", `${folder}/`]);
  return listed.split("\0").filter((file) => file !== "");
}

/** Images with an input among the changed files, each with the inputs that changed. */
export function changedImages(files: readonly string[]): { name: string; because: string[] }[] {
  const own = Object.entries<ImageSpec>(images).map(([name, spec]) => ({
    name,
    base: spec.base,
    because: files.filter((file) => inputsOf(spec).some((input) => file === input || file.startsWith(`${input}/`))),
  }));
  return own.flatMap(({ name, base, because }) => {
    const rebased = own.find((image) => image.name === base && image.because.length > 0);
    const reasons = rebased === undefined ? because : [...because, `image ${rebased.name}`];
    return reasons.length > 0 ? [{ name, because: reasons.slice(0, 20) }] : [];
  });
}

function inputsOf(spec: ImageSpec): string[] {
  const parts = spec.parts.flatMap((part) => {
    switch (part.kind) {
      case "files":
        return [part.from];
      case "cargo":
        return ["Cargo.toml", "Cargo.lock", "src", "build.rs"].map((name) => posix.join(part.crate, name));
      case "npm":
      case "node":
        return ["package-lock.json"];
      default:
        return [];
    }
  });
  return [posix.join("images", spec.buildFile), ...parts];
}

async function git(project: string, args: readonly string[]): Promise<string> {
  try {
    return (await run("git", ["-C", join(project), ...args])).trimEnd();
  } catch (error) {
    throw new EnvironmentError(
      `The change cannot be read from git: ${(error as Error).message}`,
      "Check out the whole history (actions/checkout with fetch-depth: 0) and name the base with --base origin/main.",
      { cause: error },
    );
  }
}
