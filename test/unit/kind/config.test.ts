import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { clusterConfig } from "../../../kind/config.ts";
import { kindOptionsOf, kindProblems } from "../../../kind/options.ts";
import { isAccepted } from "../../../local/toolchain/version-range.ts";
import { tools } from "../../../local/toolchain/versions.ts";

const root = join(import.meta.dirname, "../../..");
const settings = (options: Record<string, string> = {}, context?: string) => ({
  images: {},
  options,
  ...(context === undefined ? {} : { context }),
});
const official = { reference: "kindest/node:v1", isBuilt: false };

test("the default cluster is one node with the feature gate, no ports and no patches", () => {
  expect(clusterConfig(kindOptionsOf(settings()), official)).toEqual({
    kind: "Cluster",
    apiVersion: "kind.x-k8s.io/v1alpha4",
    name: "orrery",
    featureGates: { MaxUnavailableStatefulSet: true },
    networking: { apiServerAddress: "127.0.0.1", podSubnet: "10.244.0.0/16", serviceSubnet: "10.96.0.0/16" },
    nodes: [{ role: "control-plane", image: "kindest/node:v1", labels: { "ingress-ready": "true" } }],
  });
});

test("nodes, ingress ports and a built node image change what they say and nothing else", () => {
  const options = kindOptionsOf(settings({ nodes: "3", "http-port": "8080", "https-port": "8443", cluster: "other" }));
  const config = clusterConfig(options, { reference: "orrery.dev/kind-node:1", isBuilt: true });
  expect(config).toMatchObject({
    name: "other",
    nodes: [
      {
        role: "control-plane",
        extraPortMappings: [
          { containerPort: 80, hostPort: 8080, listenAddress: "127.0.0.1", protocol: "TCP" },
          { containerPort: 443, hostPort: 8443, listenAddress: "127.0.0.1", protocol: "TCP" },
        ],
        kubeadmConfigPatches: [expect.stringContaining("cgroupDriver: cgroupfs"), expect.any(String)],
      },
      { role: "worker", image: "orrery.dev/kind-node:1" },
      { role: "worker", image: "orrery.dev/kind-node:1" },
    ],
  });
});

test("every wrong setting is named at once", () => {
  const wrong = { cluster: "No Good", nodes: "17", "http-port": "70000", colour: "blue" };
  const problems = kindProblems(settings(wrong, "elsewhere"));
  expect(problems.map(({ path }) => path)).toEqual([
    "--context",
    "--target-option cluster",
    "--target-option nodes",
    "--target-option http-port",
    "--target-option colour",
  ]);
  expect(kindProblems(settings({ nodes: "16", cluster: "a-b" }))).toEqual([]);
});

test("the node image carries the versions that are built", async () => {
  const version = tools.kubeadm.version;
  expect(await readFile(join(root, "kind/node/files/kind/version"), "utf8")).toBe(`v${version}`);
  const names = await readFile(join(root, "kind/node/files/kind/images/names"), "utf8");
  for (const part of ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"]) {
    expect(names).toContain(`registry.k8s.io/${part}:v${version}\n`);
  }
  expect(names).toContain(`registry.k8s.io/etcd:${tools["kubeadm-etcd"].version}-0\n`);
});

test("kind's answer to `kind version` is understood", async () => {
  const { accepted, pattern } = tools.kind.probe;
  const version = pattern.exec(await readFile(join(root, "test/fixtures/kind/version.stdout"), "utf8"))?.[1] ?? "";
  expect(isAccepted(version, accepted)).toBe(true);
});
