import { once } from "node:events";
import { request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { NetworkingV1Api } from "@kubernetes/client-node";
import { beforeAll, describe, expect, test } from "vitest";
import { OrreryHome } from "../../../local/toolchain/home.ts";
import { cluster as shared } from "../../support/cluster.ts";
import { create, restrictedNamespace, scriptPodSpec, startCluster, type TestCluster, until } from "./support.ts";

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly location: string | undefined;
}

const namespace = "ingress-test";
const metadata = (name: string) => ({ name, namespace });

/** Answers with its name, the path and the host it was asked for; echoes one line after an upgrade. */
const webScript = `
  const server = require("node:http").createServer((request, answer) =>
    answer.end([process.env.HOSTNAME.split("-")[0], request.url, request.headers.host].join(" ")));
  server.on("upgrade", (request, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n");
    socket.pipe(socket);
  });
  server.listen(8080);
`;

describe.skipIf(!shared.available)("Ingress objects on the local cluster", () => {
  let cluster: TestCluster;
  let ingresses: NetworkingV1Api;

  /** Asks the node's address as a browser would that finds `host` there. */
  async function ask(url: string): Promise<Answer> {
    const { protocol, hostname, pathname } = new URL(url);
    const request = protocol === "https:" ? secureRequest : plainRequest;
    const sent = request({
      host: cluster.nodeAddress,
      path: pathname,
      headers: { host: hostname },
      servername: hostname,
      rejectUnauthorized: false,
      agent: false,
      timeout: 5_000,
    }).end();
    const [response] = await once(sent, "response");
    let text = "";
    for await (const part of response) text += part;
    return { status: response.statusCode, text, location: response.headers.location };
  }

  const answers = (url: string, expected: Partial<Answer>) =>
    until(`${url} answers ${JSON.stringify(expected)}`, async () => {
      const answer = await ask(url).catch(() => undefined);
      return (
        answer !== undefined && Object.entries(expected).every(([key, value]) => answer[key as keyof Answer] === value)
      );
    });

  async function web(name: string): Promise<void> {
    await create(cluster, {
      apiVersion: "v1",
      kind: "Service",
      metadata: metadata(name),
      spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
    });
    await create(cluster, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: metadata(name),
      spec: {
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: { ...scriptPodSpec(cluster.image, { script: webScript }), restartPolicy: "Always" },
        },
      },
    });
  }

  async function ingress(name: string, spec: object): Promise<void> {
    await create(cluster, { apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: metadata(name), spec });
  }

  const path = (prefix: string, service: string) => ({
    path: prefix,
    pathType: "Prefix",
    backend: { service: { name: service, port: { name: "http" } } },
  });

  beforeAll(async () => {
    cluster = await startCluster(OrreryHome.fromEnvironment({ ...process.env, ...shared.environment() }));
    ingresses = cluster.config.makeApiClient(NetworkingV1Api);
    await restrictedNamespace(cluster, namespace);
    await web("front");
    await web("api");
  });

  test("host and path decide which Service answers, and the object says where it is served", async () => {
    await ingress("shop", {
      ingressClassName: "caddy",
      rules: [{ host: "shop.test", http: { paths: [path("/", "front"), path("/api", "api")] } }],
    });
    await answers("http://shop.test/", { status: 200, text: "front / shop.test" });
    await answers("http://shop.test/api/v1", { status: 200, text: "api /api/v1 shop.test" });
    await answers("http://shop.test/apish", { status: 200, text: "front /apish shop.test" });
    expect((await ask("http://other.test/")).status).toBe(404);
    await until("the status holds the node's address", async () => {
      const { status } = await ingresses.readNamespacedIngress({ name: "shop", namespace });
      return status?.loadBalancer?.ingress?.[0]?.ip === cluster.nodeAddress;
    });
  });

  test("an upgraded connection is passed on in both directions", async () => {
    const headers = { host: "shop.test", connection: "Upgrade", upgrade: "echo" };
    const sent = plainRequest({ host: cluster.nodeAddress, headers, agent: false }).end();
    const [, socket] = await once(sent, "upgrade");
    socket.write("there and back");
    const [echoed] = await once(socket, "data");
    expect(String(echoed)).toBe("there and back");
    socket.destroy();
  });

  test("a host with TLS is served over it, and plain requests are sent there", async () => {
    await ingress("secure", {
      tls: [{ hosts: ["secure.test"] }],
      rules: [{ host: "secure.test", http: { paths: [path("/", "front")] } }],
    });
    await answers("https://secure.test/x", { status: 200, text: "front /x secure.test" });
    expect(await ask("http://secure.test/x")).toMatchObject({ status: 308, location: "https://secure.test/x" });
  });

  test("a Service that is not there is a 503 and an event, and no harm to other hosts", async () => {
    await ingress("broken", { rules: [{ host: "broken.test", http: { paths: [path("/", "nobody")] } }] });
    await answers("http://broken.test/", { status: 503 });
    await until("an event names the Service", async () => {
      const { items } = await cluster.core.listNamespacedEvent({ namespace });
      return items.some(({ reason, message }) => reason === "ServiceNotFound" && message?.includes("nobody") === true);
    });
    expect((await ask("http://shop.test/")).status).toBe(200);
  });

  test("another controller's class is left alone, and what is deleted is not served any more", async () => {
    await ingress("foreign", {
      ingressClassName: "nginx",
      rules: [{ host: "foreign.test", http: { paths: [path("/", "front")] } }],
    });
    await ingresses.deleteNamespacedIngress({ name: "shop", namespace });
    await answers("http://shop.test/", { status: 404 });
    expect((await ask("http://foreign.test/")).status).toBe(404);
    const { status } = await ingresses.readNamespacedIngress({ name: "foreign", namespace });
    expect(status?.loadBalancer?.ingress).toBeUndefined();
  });
});
