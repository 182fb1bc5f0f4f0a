import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Endpoint } from "../../../../schema/run.ts";
import { StubFeed, StubLog } from "./stub-feed.ts";

/** What a stub member does with requests for keys; `applied-504` does the write and then claims not to know. */
export type Behaviour = "serve" | "503" | "504" | "applied-504" | "hang" | "reset" | "drop-writes" | "nonsense";

/**
 * A stand-in for one member of nodes/kv: its HTTP contract over loopback, with a store that several members may share.
 * It replicates nothing; it shows what the connector makes of answers, not what the network does. Its feed tells what
 * any member wrote, when the test wants it told.
 */
export class StubMember {
  readonly ordinal: number;
  readonly store: Map<string, string>;
  readonly feed = new StubFeed();
  readonly #log: StubLog;
  behaviour: Behaviour = "serve";
  role = "follower";
  leaderPid: number | null = null;
  /** Requests for keys, as `METHOD path`. */
  readonly requests: string[] = [];
  /** The trace context of those that had one. */
  readonly traceparents: string[] = [];
  #server: Server;
  #port = 0;

  constructor(ordinal: number, store: Map<string, string>, log: StubLog) {
    this.ordinal = ordinal;
    this.store = store;
    this.#log = log;
    log.feeds.push(this.feed);
    this.#server = this.#make();
  }

  get endpoint(): Endpoint {
    const { ordinal } = this;
    return { group: "replica", ordinal, pod: `kv-${ordinal}`, url: `http://127.0.0.1:${this.#port}` };
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** As a killed process: connections are cut, new ones refused. */
  async stop(): Promise<void> {
    this.feed.stop();
    if (!this.#server.listening) {
      return;
    }
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Serves again on the same port. */
  async restart(): Promise<void> {
    this.#server = this.#make();
    await this.start();
  }

  #make(): Server {
    return createServer((request, response) => void this.#answer(request, response));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk as Buffer);
    }
    const url = new URL(request.url ?? "/", "http://stub");
    if (url.pathname === "/status") {
      const { ordinal, role, leaderPid: leader } = this;
      send(response, 200, { pid: ordinal + 1, ordinal, role, leader });
      return;
    }
    if (url.pathname === "/feed") {
      this.feed.answer(url.searchParams, response);
      return;
    }
    this.requests.push(`${request.method} ${request.url}`);
    this.traceparents.push(...[request.headers.traceparent ?? []].flat());
    const write = (): void => {
      const key = decodeURIComponent(url.pathname.slice("/kv/".length));
      if (request.method === "PUT") {
        this.store.set(key, Buffer.concat(chunks).toString());
      } else if (request.method === "DELETE") {
        this.store.delete(key);
      }
    };
    switch (this.behaviour) {
      case "503":
        send(response, 503, { error: "no leader is known", code: "no_leader" });
        return;
      case "504":
        send(response, 504, { error: "no decision in time", code: "timeout" });
        return;
      case "applied-504":
        write();
        send(response, 504, { error: "no decision in time", code: "timeout" });
        return;
      case "hang":
        return;
      case "reset":
        request.socket.resetAndDestroy();
        return;
      case "nonsense":
        response.writeHead(200).end("yes");
        return;
      case "drop-writes":
        break;
      case "serve":
        write();
    }
    this.#serve(request, response, url);
  }

  #serve(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const found = this.store.get(decodeURIComponent(url.pathname.slice("/kv/".length)));
    if (request.method !== "GET") {
      send(response, 200, { index: this.#log.write(decodeURIComponent(url.pathname.slice("/kv/".length))) });
    } else if (found === undefined) {
      send(response, 404, { error: "no such key", code: "not_found" });
    } else {
      response.writeHead(200, { "content-type": "application/octet-stream" }).end(found);
    }
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** Members over one store; the first leads. */
export async function startStubNetwork(count: number): Promise<StubMember[]> {
  const store = new Map<string, string>();
  const log = new StubLog();
  const members = Array.from({ length: count }, (_, ordinal) => new StubMember(ordinal, store, log));
  for (const member of members) {
    await member.start();
    member.role = member.ordinal === 0 ? "leader" : "follower";
    member.leaderPid = 1;
  }
  return members;
}
