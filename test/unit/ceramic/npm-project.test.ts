import { describe, expect, test } from "vitest";
import { isLeftOut, projectFingerprint } from "../../../images/npm-project.ts";

describe("of an npm project's packages", () => {
  test.each([
    "/a/index.js.map",
    "/a/index.d.ts",
    "/a/README.md",
    "/.package-lock.json",
    "/a/node_modules/.bin",
    "/classic-level/prebuilds/win32-x64",
    "/sqlite3/build/Makefile",
    "/sqlite3/build/Release/obj.target",
    "/sqlite3/build/Release/sqlite3.a",
  ])("%s is left out", (path) => expect(isLeftOut(path, ["sqlite3"])).toBe(true));

  test.each([
    "/a/index.js",
    "/a/package.json",
    "/a/build/index.js", // where many packages keep what they run
    "/a/src/index.js",
    "/a/docs/x.js",
    "/a/lib/__tests__/x.js", // js-ceramic's daemon imports some
    "/classic-level/prebuilds/linux-x64/node.napi.glibc.node",
    "/sqlite3/build",
    "/sqlite3/build/Release",
    "/sqlite3/build/Release/node_sqlite3.node",
    "/sqlite3/lib/sqlite3.js",
  ])("%s is kept", (path) => expect(isLeftOut(path, ["sqlite3"])).toBe(false));

  test("another lock, another native part or another thing left out is another image", async () => {
    const of = (part: object) => projectFingerprint({ project: "images/ceramic", ...part }, ".");
    const all = await Promise.all([
      of({}),
      of({ rebuild: ["sqlite3"] }),
      of({ except: ["aws-sdk/dist"] }),
      of({ project: "images/ganache" }),
    ]);
    expect(new Set(all).size).toBe(all.length);
    expect(await of({})).toBe(all[0]);
  });
});
