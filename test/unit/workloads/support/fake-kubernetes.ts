import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface FakePod {
  uid: string;
  ready: boolean;
}

/**
 * A stand-in for the Kubernetes API server over HTTP: pods by name, ConfigMaps, and the calls the conductor makes. It
 * knows preconditions and refuses a wrong token; scheduling, kubelets and watches it does not have.
 */
export class FakeKubernetes {
  readonly token = "service-account-token";
  readonly pods = new Map<string, FakePod>();
  readonly configMaps = new Map<string, Record<string, string>>();
  /** Addresses of the nodes, by name and type. */
  readonly nodes = new Map<string, Record<string, string>>();
  /** Bodies of the deletions that were asked for. */
  readonly deletions: { readonly name: string; readonly body: unknown }[] = [];
  /** Called after a pod was deleted. */
  onDeleted: (name: string) => void = () => undefined;
  /** Answers every deletion with this status instead. */
  refuseDeletions: number | undefined;
  /** Says yes to every deletion and does nothing. */
  ignoreDeletions = false;
  readonly #server: Server;
  #created = 0;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) {
        chunks.push(chunk as Buffer);
      }
      if (request.headers.authorization !== `Bearer ${this.token}`) {
        send(response, 401, { message: "Unauthorized" });
        return;
      }
      if (request.url === "/api/v1/nodes") {
        send(response, 200, { items: [...this.nodes].map(nodeObject) });
        return;
      }
      const [, kind = "", name = ""] =
        /^\/api\/v1\/namespaces\/test\/(pods|configmaps)\/(.+)$/.exec(request.url ?? "") ?? [];
      if (kind === "configmaps") {
        const data = this.configMaps.get(name);
        send(response, data === undefined ? 404 : 200, data === undefined ? { message: "not found" } : { data });
        return;
      }
      const pod = this.pods.get(name);
      if (pod === undefined) {
        send(response, 404, { message: `${name} not found` });
        return;
      }
      if (request.method === "DELETE") {
        this.#delete(response, name, pod, JSON.parse(Buffer.concat(chunks).toString()));
        return;
      }
      send(response, 200, {
        metadata: { name, uid: pod.uid },
        status: { conditions: [{ type: "Ready", status: pod.ready ? "True" : "False" }] },
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** A new pod of that name, with a uid of its own. */
  create(name: string, ready: boolean): string {
    this.#created += 1;
    const uid = `uid-${this.#created}`;
    this.pods.set(name, { uid, ready });
    return uid;
  }

  #delete(response: ServerResponse, name: string, pod: FakePod, body: { preconditions?: { uid?: string } }): void {
    this.deletions.push({ name, body });
    if (this.refuseDeletions !== undefined) {
      send(response, this.refuseDeletions, { message: "refused by the test" });
      return;
    }
    if (body.preconditions?.uid !== undefined && body.preconditions.uid !== pod.uid) {
      send(response, 409, { message: "the UID in the precondition does not match" });
      return;
    }
    send(response, 200, { metadata: { name, uid: pod.uid } });
    if (!this.ignoreDeletions) {
      this.pods.delete(name);
      this.onDeleted(name);
    }
  }
}

function nodeObject([name, addresses]: [string, Record<string, string>]) {
  const list = Object.entries(addresses).map(([type, address]) => ({ type, address }));
  return { metadata: { name }, status: { addresses: list, daemonEndpoints: { kubeletEndpoint: { Port: 10250 } } } };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
