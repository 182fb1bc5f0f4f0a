import type { VersionRange } from "./version-range.ts";

/** A platform in Node's words. */
export type Platform = "linux-x64" | "linux-arm64" | "darwin-x64" | "darwin-arm64" | "win32-x64";

/** How the version of a copy found on PATH is read. */
export interface VersionProbe {
  readonly program: string;
  readonly args: readonly string[];
  /** The first group is the version. */
  readonly pattern: RegExp;
  readonly accepted: VersionRange;
}

/** One file of an official release. */
export interface ReleaseFile {
  /** `undefined` where upstream publishes nothing for the platform. */
  readonly url: (platform: Platform) => string | undefined;
  /** For a `tar.gz`: path in the archive of each program. A plain file is the program `program`. */
  readonly content:
    | { readonly kind: "file"; readonly program: string }
    | { readonly kind: "tar.gz"; readonly programs: Readonly<Record<string, string>> };
  /** Pinned digests; a platform without one is checked against the list upstream publishes beside the release. */
  readonly sha256?: Partial<Record<Platform, string>>;
  /**
   * What upstream publishes beside the release: one bare digest, lines of `digest  name`, or GitHub's description of
   * the release, which holds a digest per file.
   */
  readonly checksums: (platform: Platform) => string;
}

/** One `go build`. */
export interface GoBuild {
  /** Folder of the module seen from `local/`; empty for `local/` itself. */
  readonly module: string;
  readonly package: string;
  /** Name of the program it makes. */
  readonly output: string;
  /** Further names of the same program. */
  readonly links?: readonly string[];
  readonly ldflags: readonly string[];
  /** Some of its code is C: a C compiler is needed too, and the program is linked statically. */
  readonly cgo?: true;
  /** Build tags. */
  readonly tags?: readonly string[];
  /** Folders seen from `local/` with the sources of our own that go into it. */
  readonly sources: readonly string[];
}

/** The distribution's packages that hold a tool. */
export interface PackageSet {
  readonly debian: readonly string[];
  /** Named in errors on machines without apt. */
  readonly fedora: readonly string[];
  /** The folder inside the packages that holds the programs, when it is none of the usual ones. */
  readonly folder?: string;
}

/** One tool: a set of programs that come from one place together. */
export interface ToolSpec {
  readonly version: string;
  readonly programs: readonly string[];
  /** Only these platforms; all when absent. */
  readonly linuxOnly?: boolean;
  /** Absent for programs of our own, which are never looked for on PATH. */
  readonly probe?: VersionProbe;
  /** The probe serves to check what was unpacked; a copy on PATH is not wanted. */
  readonly neverFromPath?: boolean;
  /** Made only when something asks for it: nothing is kept for the day it will be. */
  readonly onDemand?: boolean;
  /** Further folders to look in, after PATH; `~` is the user's home. */
  readonly folders?: readonly string[];
  readonly release?: readonly ReleaseFile[];
  readonly build?: readonly GoBuild[];
  readonly packages?: PackageSet;
}

/** A table of tools; the real one is in versions.ts, tests bring their own. */
export type ToolTable = Readonly<Record<string, ToolSpec>>;

/** This machine's platform. */
export function currentPlatform(): Platform {
  return `${process.platform}-${process.arch}` as Platform;
}
