import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ingressAddress } from "../../../cli/ingress-address.ts";

/** One server is both: the API server with its Ingress objects, and what an Ingress leads to. */
let server: Server;
let port: number;
const config = new KubeConfig();
let items: readonly object[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url?.startsWith("/apis/networking.k8s.io/v1/namespaces/ns/ingresses") !== true) {
      response.end("the page");
      return;
    }
    expect(new URL(request.url, "http://api").searchParams.get("fieldSelector")).toBe("metadata.name=web");
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ apiVersion: "networking.k8s.io/v1", kind: "IngressList", metadata: {}, items }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
  config.loadFromOptions({
    clusters: [{ name: "c", server: `http://127.0.0.1:${port}`, skipTLSVerify: true }],
    users: [{ name: "u" }],
    contexts: [{ name: "x", cluster: "c", user: "u" }],
    currentContext: "x",
  });
});
afterAll(() => server.close());

const ingress = (host: string | undefined, addresses: readonly object[]) => ({
  metadata: { name: "web", namespace: "ns" },
  spec: { rules: [host === undefined ? {} : { host }] },
  status: { loadBalancer: { ingress: addresses } },
});

test.each([
  ["there is none", () => []],
  ["no controller took it", () => [ingress(undefined, [])]],
  ["nothing answers at its address", () => [ingress(undefined, [{ ip: "127.0.0.1:9" }])]],
  ["its host leads nowhere", () => [ingress("nowhere.invalid", [{ ip: `127.0.0.1:${port}` }])]],
])("is none when %s", async (_why, found) => {
  items = found();
  expect(await ingressAddress(config, "ns", "web")).toBeUndefined();
});

test.each([
  ["its address", undefined, () => [{ ip: `127.0.0.1:${port}` }]],
  ["the name of its load balancer", undefined, () => [{ hostname: `localhost:${port}` }]],
])("is %s when something answers there", async (_what, host, addresses) => {
  items = [ingress(host, addresses())];
  expect(await ingressAddress(config, "ns", "web")).toMatch(
    new RegExp(`^http://(127\\.0\\.0\\.1|localhost):${port}/$`),
  );
});
