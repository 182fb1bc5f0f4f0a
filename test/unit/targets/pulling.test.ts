import { expect, test } from "vitest";
import { imagesOf } from "../../../components/images.ts";
import { upstreamImage } from "../../../images/table.ts";
import type { QuorumSection } from "../../../schema/systems/quorum.ts";
import { namesToBuild } from "../../../targets/built-images.ts";
import { targetPulls } from "../../../targets/pulling.ts";
import { loadExample } from "../../support/experiments.ts";

test("every target but the local one pulls images", () => {
  expect(["local", "kind", "minikube", "eks", "context"].filter(targetPulls)).toEqual([
    "kind",
    "minikube",
    "eks",
    "context",
  ]);
});

test("a cluster is given what is neither named by reference nor in registries only", () => {
  const names = ["goquorum", "quorum-agent", "tessera", "driver"];
  const settings = { images: { driver: "registry.example/driver:1" }, options: {} };
  expect(namesToBuild(settings, names)).toEqual(["goquorum", "quorum-agent"]);
});

test("upstream's images take the place of those that are the same programs, and of no others", () => {
  expect(upstreamImage("goquorum")).toBe("docker.io/quorumengineering/quorum:22.7.4");
  expect(upstreamImage("tessera")).toBe("docker.io/quorumengineering/tessera:22.1.7");
  expect(["ptm", "prometheus", "driver", "toString", "none"].map(upstreamImage)).toEqual(
    Array.from({ length: 5 }, () => undefined),
  );
});

test.each([
  [{ privacy: "tessera" }, true, "tessera"],
  [{ privacy: "tessera" }, false, "ptm"],
  [{ privacy: "tessera", manager: "stand-in" }, true, "ptm"],
  [{ privacy: "tessera", manager: "tessera" }, false, "tessera"],
  [{ privacy: "constellation" }, true, "ptm"],
] as const satisfies readonly [Partial<QuorumSection>, boolean, string][])(
  "an experiment with %o, images pulled: %s, needs %s",
  async (changes, pulls, manager) => {
    const experiment = await loadExample("quorum", "quorum.yaml");
    const images = imagesOf({ ...experiment, network: { ...experiment.network, ...changes } }, pulls);
    expect(images.filter((name) => ["ptm", "tessera"].includes(name))).toEqual([manager]);
  },
);
