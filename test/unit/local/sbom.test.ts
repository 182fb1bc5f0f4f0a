import { expect, test } from "vitest";
import { goModules } from "../../../images/sbom.ts";

test("modules of a Go program: replaced ones count as what stands in their place, its own is none", () => {
  const text = [
    "/cache/bin/thing: go1.26.8",
    "\tpath\texample.org/thing/cmd",
    "\tmod\texample.org/thing\t(devel)\t",
    "\tdep\tgithub.com/one/two\tv1.2.3\th1:abc=",
    "\tdep\tgolang.org/x/old\tv0.1.0",
    "\t=>\tgithub.com/fork/new\tv0.2.0\th1:def=",
    "\tdep\tsingle\tv1.0.0\th1:ghi=",
    "\tbuild\tCGO_ENABLED=0",
  ].join("\n");
  expect(goModules(text).map(({ namespace, name, version }) => [namespace, name, version])).toEqual([
    [undefined, "stdlib", "v1.26.8"],
    ["github.com/one", "two", "v1.2.3"],
    ["github.com/fork", "new", "v0.2.0"],
    [undefined, "single", "v1.0.0"],
  ]);
});
