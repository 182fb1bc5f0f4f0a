import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { afterEach, expect, test } from "vitest";
import { EnvironmentError } from "../../../schema/errors.ts";
import { roomOf } from "../../../targets/room.ts";

/** What is read of a cluster, from an API server that answers as Kubernetes does. Proves nothing about a real one. */
let server: Server;
afterEach(() => new Promise<void>((done) => server.close(() => done())));

const node = {
  metadata: { name: "one" },
  status: {
    allocatable: { cpu: "4", memory: "8Gi", pods: "110" },
    conditions: [{ type: "Ready", status: "True" }],
    images: [{ names: ["orrery.dev/kv:1"] }],
  },
};
const answers: Readonly<Record<string, object>> = {
  "/version": { gitVersion: "v1.34.4" },
  "/api/v1/nodes": { items: [node] },
  "/apis": { groups: [{ name: "apps", versions: [{ groupVersion: "apps/v1", version: "v1" }] }] },
  "/api/v1/namespaces/mine/resourcequotas": {
    items: [
      { metadata: { name: "team" }, spec: { hard: { "requests.cpu": "1500m", pods: "10" } } },
      { metadata: { name: "idle" }, spec: { hard: { pods: "1" }, scopes: ["BestEffort"] } },
    ],
  },
  "/api/v1/namespaces/mine/limitranges": {
    items: [{ metadata: { name: "small" }, spec: { limits: [{ type: "Container", max: { memory: "1Gi" } }] } }],
  },
};

async function clusterThat(answer: (path: string) => { readonly code: number; readonly body: object }) {
  server = createServer((request, response) => {
    const { code, body } = answer(new URL(request.url ?? "", "http://here").pathname);
    response.writeHead(code, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: "it", server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, skipTLSVerify: true },
    { name: "me" },
  );
  return config;
}

test("the limits of the namespace are read with the room of the nodes", async () => {
  const config = await clusterThat((path) => ({ code: 200, body: answers[path] ?? { items: [] } }));
  expect(await roomOf(config, "mine")).toMatchObject({
    version: "v1.34.4",
    nodes: [{ name: "one", cpu: 4, memory: 8 * 2 ** 30, pods: 110 }],
    apiVersions: ["v1", "apps/v1"],
    limits: [
      { source: "ResourceQuota team", per: "namespace", resource: "requests.cpu", max: 1.5 },
      { source: "ResourceQuota team", per: "namespace", resource: "pods", max: 10 },
      { source: "LimitRange small", per: "container", resource: "memory", max: 2 ** 30 },
    ],
  });
});

/** `/version` answers everybody, so what has expired shows with the first request that takes rights. */
test.each([
  [401, "Unauthorized", /refuses the credentials of the kubeconfig[\s\S]*may have expired: log in again/],
  [403, 'nodes is forbidden: User "me" cannot list', /refuses a request: nodes is forbidden: User "me" cannot list/],
])("credentials that are refused with %i are one clear error", async (code, message, expected) => {
  const status = { kind: "Status", apiVersion: "v1", status: "Failure", message, code };
  const config = await clusterThat((path) =>
    path === "/version" ? { code: 200, body: { gitVersion: "v1.34.4" } } : { code, body: status },
  );
  const refusal = roomOf(config, "mine");
  await expect(refusal).rejects.toThrow(expected);
  await expect(refusal).rejects.toBeInstanceOf(EnvironmentError);
});
