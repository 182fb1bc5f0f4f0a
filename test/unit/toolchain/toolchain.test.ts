import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { exec } from "../../../local/toolchain/exec.ts";
import { forgetReachability } from "../../../local/toolchain/network.ts";
import type { ToolSpec, ToolTable } from "../../../local/toolchain/tool-spec.ts";
import { locateTool, resolveFrom, resolveTools } from "../../../local/toolchain/toolchain.ts";
import { EnvironmentError } from "../../../schema/errors.ts";
import { closedOrigin, recordProgress, serve, temporaryFolder, temporaryHome, writeProgram } from "./support.ts";

const script = "#!/bin/sh\necho widget 1.2.3\n";
const digest = (text: string) => createHash("sha256").update(text).digest("hex");
const systemPath = ["/usr/local/go/bin", "/usr/local/bin", "/usr/bin", "/bin"].join(delimiter);
const hasGo = (await exec("sh", ["-c", "command -v go"])).code === 0;

beforeEach(() => forgetReachability());

/** A tool with a release at `origin` and a Go module in `sources`. */
function widget(origin: string | undefined, more: Partial<ToolSpec> = {}): ToolSpec {
  return {
    version: "1.2.3",
    programs: ["widget"],
    probe: {
      program: "widget",
      args: [],
      pattern: /widget (\d+\.\d+\.\d+)/,
      accepted: { min: "1.2.0", below: "2.0.0" },
    },
    ...(origin === undefined
      ? {}
      : {
          release: [
            {
              url: () => `${origin}/widget`,
              content: { kind: "file", program: "widget" },
              checksums: () => `${origin}/widget.sha256`,
            },
          ],
        }),
    ...more,
  };
}

async function releaseServer(body = script, announced = digest(body)) {
  const asked: string[] = [];
  const origin = await serve((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.end(request.url === "/widget.sha256" ? announced : request.url === "/widget" ? body : "");
  });
  return { origin, asked };
}

/** A Go module without dependencies whose program answers like the release. */
async function goModule(): Promise<{ sources: string; build: NonNullable<ToolSpec["build"]> }> {
  const sources = await temporaryFolder();
  await mkdir(join(sources, "widget"));
  await writeFile(join(sources, "go.mod"), "module example.test/widget\n\ngo 1.21\n");
  await writeFile(join(sources, "go.sum"), "");
  // Never the same twice, so that Go has something to compile.
  const main = `package main\n\nfunc main() { println("widget 1.2.3") } // ${randomUUID()}\n`;
  await writeFile(join(sources, "widget/main.go"), main);
  return {
    sources,
    build: [{ module: "", package: "./widget", output: "widget", ldflags: ["-s"], sources: ["widget"] }],
  };
}

describe("the order of sources", () => {
  test("a copy on PATH comes before the release when its version is accepted", async () => {
    const { origin, asked } = await releaseServer();
    const bin = join(await temporaryFolder(), "bin");
    await writeProgram(join(bin, "widget"), "echo widget 1.9.0");
    const environment = { PATH: `${bin}${delimiter}${systemPath}` };
    const tools = await resolveFrom(await temporaryHome(), ["widget"], {
      table: { widget: widget(origin) },
      environment,
    });
    expect(tools.entries).toMatchObject([{ source: "path", version: "1.9.0" }]);
    expect(tools.path("widget")).toBe(join(bin, "widget"));
    expect(asked).toEqual([]);
  });

  test.each([
    ["too old", "echo widget 1.1.9"],
    ["too new", "echo widget 2.0.0"],
    ["silent", "exit 0"],
  ])(
    "a copy on PATH that is %s is passed over for the release, and the second time it is the cache",
    async (_, body) => {
      const { origin, asked } = await releaseServer();
      const bin = join(await temporaryFolder(), "bin");
      await writeProgram(join(bin, "widget"), body);
      const options = { table: { widget: widget(origin) }, environment: { PATH: `${bin}${delimiter}${systemPath}` } };
      const home = await temporaryHome();
      const first = await resolveFrom(home, ["widget"], options);
      expect(first.entries).toMatchObject([{ source: "release", origin: "release", version: "1.2.3" }]);
      expect(first.env.PATH.split(delimiter)[0]).toBe(dirname(first.path("widget")));
      expect((await exec(first.path("widget"), [])).stdout).toBe("widget 1.2.3\n");
      const requests = asked.length;
      const second = await resolveFrom(home, ["widget"], options);
      expect(second.entries).toMatchObject([{ source: "cache", origin: "release" }]);
      expect(asked.length).toBe(requests);
      expect(await readdir(home.downloads)).toEqual([]);
    },
  );

  test.skipIf(!hasGo)(
    "without a network the Go build comes next, and the manifest says so",
    async () => {
      const { sources, build } = await goModule();
      const table = { widget: widget(await closedOrigin(), { build }) };
      const { progress, steps } = recordProgress();
      const options = { table, sources, progress, environment: { ...process.env, PATH: systemPath } };
      const home = await temporaryHome();
      const tools = await resolveFrom(home, ["widget"], options);
      expect(tools.entries).toMatchObject([{ source: "build", version: "1.2.3" }]);
      expect(
        JSON.parse(await readFile(join(dirname(tools.entries[0]?.path ?? ""), "orrery-tool.json"), "utf8")),
      ).toMatchObject({
        source: "build",
        verified: "go.sum",
      });
      expect(steps.at(-1)).toMatchObject({ unit: "packages" });
    },
    120_000,
  );

  test("a tool with C code asks for a C compiler, by name, before anything is compiled", async () => {
    const { sources, build } = await goModule();
    const table = { widget: widget(await closedOrigin(), { build: build.map((one) => ({ ...one, cgo: true })) }) };
    const bin = join(await temporaryFolder(), "bin");
    await writeProgram(join(bin, "go"), "echo go version go1.99.0 linux/amd64");
    const environment = { PATH: bin, CC: "orrery-no-such-compiler" };
    const failed = resolveFrom(await temporaryHome(), ["widget"], { table, sources, environment });
    await expect(failed).rejects.toBeInstanceOf(EnvironmentError);
    await expect(failed).rejects.toThrow(/orrery-no-such-compiler is not on PATH.*Install a C compiler.*libc6-dev/s);
  });

  test("a tool nobody can provide is an error that says what was tried and what to install", async () => {
    const { sources, build } = await goModule();
    const table = { widget: widget(await closedOrigin(), { build }) };
    const environment = { PATH: join(await temporaryFolder(), "empty") };
    const failed = resolveFrom(await temporaryHome(), ["widget"], { table, sources, environment });
    await expect(failed).rejects.toBeInstanceOf(EnvironmentError);
    await expect(failed).rejects.toThrow(
      /not in the cache.*widget is not on PATH.*no official release.*Install Go 1\.21/s,
    );
  });

  test("ten tools of an unreachable host cost one question", async () => {
    let connections = 0;
    const origin = await serve((request) => {
      connections++;
      request.socket.destroy();
    });
    const names = Array.from({ length: 10 }, (_, index) => `widget-${index}`);
    const table: ToolTable = Object.fromEntries(names.map((name) => [name, widget(origin)]));
    const home = await temporaryHome();
    for (const name of names) {
      await expect(resolveFrom(home, [name], { table, environment: { PATH: systemPath } })).rejects.toThrow(
        /does not answer/,
      );
    }
    expect(connections).toBe(1);
  });
});

describe("the cache", () => {
  async function cached() {
    const server = await releaseServer();
    const home = await temporaryHome();
    const options = { table: { widget: widget(server.origin) }, environment: { PATH: systemPath } };
    const tools = await resolveFrom(home, ["widget"], options);
    return { server, home, options, path: tools.path("widget") };
  }

  test("a changed file is noticed, reported and made again", async () => {
    const { home, options, path } = await cached();
    await appendFile(path, "# changed\n");
    const { progress, events } = recordProgress();
    const tools = await resolveFrom(home, ["widget"], { ...options, progress });
    expect(tools.entries).toMatchObject([{ source: "release" }]);
    expect(events.filter((event) => event.includes("widget in the cache is corrupt"))).toHaveLength(1);
    expect(await readFile(path, "utf8")).toBe(script);
  });

  test("a missing file and a manifest that cannot be read are made good", async () => {
    const { home, options, path } = await cached();
    await rm(path);
    expect((await resolveFrom(home, ["widget"], options)).entries).toMatchObject([{ source: "release" }]);
    await writeFile(join(dirname(dirname(path)), "orrery-tool.json"), '{"name":');
    expect((await resolveFrom(home, ["widget"], options)).entries).toMatchObject([{ source: "release" }]);
    expect((await resolveFrom(home, ["widget"], options)).entries).toMatchObject([{ source: "cache" }]);
  });

  test("other times on an unchanged file, as after a restored backup, are no corruption", async () => {
    const { home, options, path } = await cached();
    await utimes(path, new Date(0), new Date(0));
    expect((await resolveFrom(home, ["widget"], options)).entries).toMatchObject([{ source: "cache" }]);
  });

  test("a folder without a manifest, left by a killed process, does not count", async () => {
    const { home, options, path } = await cached();
    await rm(join(dirname(dirname(path)), "orrery-tool.json"));
    expect(await locateTool(home, "widget", options)).toBeUndefined();
    expect((await resolveFrom(home, ["widget"], options)).entries).toMatchObject([{ source: "release" }]);
  });

  test("a release that is not what upstream announces leaves nothing behind", async () => {
    const { origin } = await releaseServer(script, "0".repeat(64));
    const home = await temporaryHome();
    const options = { table: { widget: widget(origin) }, environment: { PATH: systemPath } };
    await expect(resolveFrom(home, ["widget"], options)).rejects.toThrow(/expected was 0{64}/);
    expect(existsSync(home.tools)).toBe(false);
  });

  test.skipIf(!hasGo)(
    "a build is made again when its own sources change, and only that one",
    async () => {
      const { sources, build } = await goModule();
      await mkdir(join(sources, "gadget"));
      await writeFile(join(sources, "gadget/main.go"), 'package main\n\nfunc main() { println("widget 1.2.3") }\n');
      const gadget = build.map((one) => ({ ...one, package: "./gadget", sources: ["gadget"] }));
      const table = { widget: widget(undefined, { build }), gadget: widget(undefined, { build: gadget }) };
      const options = { table, sources, environment: { ...process.env, PATH: systemPath } };
      const home = await temporaryHome();
      await resolveFrom(home, ["widget", "gadget"], options);
      await appendFile(join(sources, "gadget/main.go"), "// changed\n");
      await writeFile(join(sources, "widget/main_test.go"), "package main\n");
      const again = await resolveFrom(home, ["widget", "gadget"], options);
      expect(again.entries.map((entry) => entry.source)).toEqual(["cache", "build"]);
    },
    180_000,
  );

  test.skipIf(!hasGo)(
    "two homes that share a cache build once, also at the same moment",
    async () => {
      const { sources, build } = await goModule();
      const home = await temporaryHome();
      const options = {
        table: { widget: widget(undefined, { build }) },
        sources,
        environment: { ...process.env, PATH: systemPath },
      };
      const both = await Promise.all([resolveFrom(home, ["widget"], options), resolveFrom(home, ["widget"], options)]);
      expect(both.map((tools) => tools.entries[0]?.source).sort()).toEqual(["build", "cache"]);
    },
    120_000,
  );
});

test("tools of the local cluster are refused outside of Linux, with the way around", async () => {
  const failed = resolveTools(await temporaryHome(), ["kubernetes"], { platform: "darwin-arm64" });
  await expect(failed).rejects.toThrow(/runs on Linux \(x64, arm64\); this is darwin-arm64.*orrery:context/s);
});

test("asking for a program that was not resolved names those that were", async () => {
  const { origin } = await releaseServer();
  const options = { table: { widget: widget(origin) }, environment: { PATH: systemPath } };
  const tools = await resolveFrom(await temporaryHome(), ["widget"], options);
  expect(() => tools.path("gadget")).toThrow(/gadget was not resolved; there are widget/);
});
