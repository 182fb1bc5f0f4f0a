import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { kubernetesPluginVersion, tools } from "../../../local/toolchain/versions.ts";

const manifest: unknown = JSON.parse(await readFile("package.json", "utf8"));
const modules = await readFile("local/go.mod", "utf8");

test("the tools are of the versions the npm packages and the Go module name", () => {
  expect(manifest).toMatchObject({
    dependencies: { "@pulumi/pulumi": tools.pulumi.version, "@pulumi/kubernetes": kubernetesPluginVersion },
  });
  expect(modules).toContain(`github.com/pulumi/pulumi/pkg/v3 v${tools.pulumi.version}`);
  expect(modules).toContain(`k8s.io/kubernetes v${tools.kubernetes.version}`);
  expect(modules).toContain(`sigs.k8s.io/kwok v${tools.kwokctl.version}`);
  expect(modules).toContain(`github.com/coredns/coredns v${tools.coredns.version}`);
});
