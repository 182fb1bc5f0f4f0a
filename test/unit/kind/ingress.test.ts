import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { ingressObjects } from "../../../kind/ingress.ts";
import { ingressClass } from "../../../kind/ingress-class.ts";
import { kindProgram } from "../../../kind/target.ts";

interface Known {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: { readonly controller?: string; readonly template?: { readonly spec: Pod } };
  readonly rules?: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

interface Pod {
  readonly nodeSelector: object;
  readonly tolerations: readonly object[];
  readonly securityContext: object;
  readonly containers: readonly {
    readonly image: string;
    readonly securityContext: object;
    readonly ports?: readonly object[];
  }[];
}

const objects = ingressObjects("orrery.dev/ingress:1") as unknown as readonly Known[];
const one = (kind: string): Known => {
  const found = objects.filter((object) => object.kind === kind);
  expect(found, kind).toHaveLength(1);
  return found[0] as Known;
};

test("the class is that of the target and of the controller's own source", async () => {
  const source = await readFile("local/toolchain/cmd/ingress-controller/controller.go", "utf8");
  const controller = /controllerName = "([^"]+)"/.exec(source)?.[1];
  expect(one("IngressClass")).toMatchObject({ metadata: { name: ingressClass }, spec: { controller } });
  expect(kindProgram.traits.ingressClass).toBe(ingressClass);
});

test("the pod is on the node whose ports kind maps, also where that is a control plane beside workers", () => {
  const pod = one("Deployment").spec?.template?.spec;
  expect(pod?.nodeSelector).toMatchObject({ "ingress-ready": "true" });
  expect(pod?.tolerations).toContainEqual({ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" });
  expect(pod?.containers.flatMap(({ ports = [] }) => ports)).toMatchObject([{ hostPort: 80 }, { hostPort: 443 }]);
});

test("it runs without root and rights, and may change nothing but the status of Ingress objects and events", () => {
  const pod = one("Deployment").spec?.template?.spec;
  expect(pod?.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
  for (const { image, securityContext } of pod?.containers ?? []) {
    expect(image).toBe("orrery.dev/ingress:1");
    expect(securityContext).toMatchObject({ readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } });
  }
  const writes = one("ClusterRole").rules?.filter(({ verbs }) => verbs.some((verb) => !/get|list|watch/.test(verb)));
  expect(writes?.flatMap(({ resources }) => resources)).toEqual(["events", "ingresses/status"]);
});
