import { createPublicKey, verify } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as dagCbor from "@ipld/dag-cbor";
import { base58btc } from "multiformats/bases/base58";
import { CID } from "multiformats/cid";
import type { Endpoint } from "../../../../schema/run.ts";
import type { Commit } from "../../../../workloads/ceramic/streams.ts";
import { cborCid, commitId, streamId } from "../../../../workloads/ceramic/streams.ts";

interface Stream {
  readonly type: number;
  readonly genesis: CID;
  readonly model: string;
  content: Record<string, unknown>;
  readonly log: CID[];
  anchorStatus: string;
}

type Container = Commit["container"];
interface Payload {
  readonly data: unknown;
  readonly header?: { readonly controllers: string[]; readonly model: Uint8Array };
  readonly prev?: CID;
}

/**
 * js-ceramic's HTTP API at one peer, over one store for the whole network: signatures, the order of commits and admin
 * codes are checked as there; nothing is kept, and documents are validated by no schema.
 */
export class StubCeramic {
  readonly #network: StubCeramicNetwork;
  readonly ordinal: number;
  readonly #server: Server;
  readonly #feeds = new Set<ServerResponse>();
  readonly #told: { readonly token: string; readonly commitId: string }[] = [];
  readonly #codes = new Set<string>();
  /** Answers 500 to changes as long as it is set. */
  refusing = false;
  /** Tells nothing new to feeds that are open, as js-ceramic does when a write comes at the wrong moment. */
  stuck = false;
  /** Streams it does not have, though the network does. */
  readonly missing = new Set<string>();
  /** Refuses new feeds, and ends those there are. */
  #closed = false;

  constructor(network: StubCeramicNetwork, ordinal: number) {
    this.#network = network;
    this.ordinal = ordinal;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get endpoint(): Endpoint {
    const { port } = this.#server.address() as AddressInfo;
    const pod = `ceramic-${this.ordinal}`;
    return { group: "ceramic", ordinal: this.ordinal, pod, url: `http://127.0.0.1:${port}` };
  }

  get openFeeds(): number {
    return this.#feeds.size;
  }

  /** Tells the newest state of a stream to whoever follows the feed, as of now by the network's clock. */
  show(id: string): void {
    const stream = this.#network.streams.get(id);
    const tip = stream?.log.at(-1);
    if (stream === undefined || tip === undefined) {
      throw new Error(`there is no stream ${id}`);
    }
    const count = String(this.#told.length).padStart(6, "0");
    const entry = {
      token: `${Math.floor(this.#network.nowMs())}${count}`,
      commitId: commitId(stream.type, stream.genesis, tip),
    };
    this.#told.push(entry);
    for (const feed of this.stuck ? [] : this.#feeds) {
      feed.write(lineOf(entry));
    }
  }

  /** Ends all feeds and takes no new ones, or takes them again. */
  close(closed: boolean): void {
    this.#closed = closed;
    for (const feed of closed ? this.#feeds : []) {
      feed.destroy();
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://stub");
    const path = pathname.replace("/api/v0", "");
    response.setHeader("date", new Date(this.#network.nowMs()).toUTCString());
    if (path === "/feed/aggregation/documents") {
      this.#follow(searchParams.get("after") ?? "", response);
      return;
    }
    const text = await textOf(request);
    try {
      const answer = this.#reply(`${request.method} ${path}`, text === "" ? undefined : JSON.parse(text));
      response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
    } catch (error) {
      response.writeHead(500).end(JSON.stringify({ error: String(error) }));
    }
  }

  #follow(after: string, response: ServerResponse): void {
    if (this.#closed) {
      response.destroy();
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const entry of this.#told.filter(({ token }) => token > after)) {
      response.write(lineOf(entry));
    }
    this.#feeds.add(response);
    response.on("close", () => this.#feeds.delete(response));
  }

  #reply(route: string, body: Record<string, unknown> | undefined): unknown {
    const [, id = ""] = /^GET \/streams\/(.+)$/.exec(route) ?? [];
    if (id !== "") {
      return this.#stateOf(id);
    }
    switch (route) {
      case "GET /node/healthcheck":
        return "Alive!";
      case "GET /admin/getCode": {
        const code = `code-${this.#codes.size}`;
        this.#codes.add(code);
        return { code };
      }
      case "POST /admin/modelData":
        return this.#index(String(body?.jws));
      case "POST /streams":
        return this.#create(Number(body?.type), body?.genesis as Container);
      case "POST /commits":
        return this.#change(String(body?.streamId), body?.commit as Container);
      case "POST /collection": {
        const filters = body?.queryFilters as { where: { tpe: { equalTo: number } } } | undefined;
        const found = this.#documentsOf(body?.model).filter(
          ({ content }) => content.tpe === filters?.where.tpe.equalTo,
        );
        return { edges: found.map(({ content, log }) => ({ node: { content, log: logOf(log) } })) };
      }
      case "POST /collection/count":
        return { count: this.#documentsOf(body?.model).length };
      default:
        throw new Error(`the stub does not know ${route}`);
    }
  }

  #documentsOf(model: unknown): Stream[] {
    return [...this.#network.streams.values()].filter((stream) => stream.model === model);
  }

  #index(jws: string): unknown {
    const [head = "", payload = "", signature = ""] = jws.split(".");
    const { kid } = JSON.parse(Buffer.from(head, "base64url").toString()) as { kid: string };
    verifyJws(head, payload, signature, kid);
    const { code, requestPath, requestBody } = JSON.parse(Buffer.from(payload, "base64url").toString());
    if (!this.#codes.delete(code) || requestPath !== "/api/v0/admin/modelData") {
      throw new Error("not authorized");
    }
    for (const { streamID } of requestBody.modelData) {
      this.#stateOf(streamID);
      this.#network.indexed.add(`${this.ordinal} ${streamID}`);
    }
    return { result: "success" };
  }

  #create(type: number, container: Container): unknown {
    const { cid, payload } = opened(container);
    const id = streamId(type, cid);
    if (!this.#network.streams.has(id)) {
      const model = payload.header?.model ?? new Uint8Array();
      const name = type === 3 ? streamId(2, CID.decode(model.subarray(3))) : "";
      const content = payload.data as Record<string, unknown>;
      this.#network.streams.set(id, { type, genesis: cid, model: name, content, log: [cid], anchorStatus: "PENDING" });
      this.#network.written(id, this.ordinal);
    }
    return this.#stateOf(id);
  }

  #change(id: string, container: Container): unknown {
    const stream = this.#network.streams.get(id);
    const { cid, payload } = opened(container);
    if (this.refusing || stream === undefined || !payload.prev?.equals(stream.log.at(-1))) {
      throw new Error(`commit ${cid} does not follow the newest one of ${id}`);
    }
    for (const { path, value } of payload.data as { path: string; value: unknown }[]) {
      stream.content = { ...stream.content, [path.slice(1)]: value };
    }
    stream.log.push(cid);
    this.#network.written(id, this.ordinal);
    return this.#stateOf(id);
  }

  #stateOf(id: string): unknown {
    const stream = this.#network.streams.get(id);
    if (stream === undefined || this.missing.has(id)) {
      throw new Error(`there is no stream ${id}`);
    }
    const { type, content, log, anchorStatus } = stream;
    return { streamId: id, state: { type, content, log: logOf(log), anchorStatus } };
  }
}

/** Some stub peers with one store; what is written is told by `written`, and shown at peers by the test. */
export class StubCeramicNetwork {
  readonly streams = new Map<string, Stream>();
  /** `<ordinal> <model>`. */
  readonly indexed = new Set<string>();
  readonly peers: readonly StubCeramic[];
  nowMs: () => number = Date.now;
  written: (id: string, ordinal: number) => void = () => undefined;

  constructor(count: number) {
    this.peers = Array.from({ length: count }, (_, ordinal) => new StubCeramic(this, ordinal));
  }

  async listen(): Promise<this> {
    await Promise.all(this.peers.map((peer) => peer.listen()));
    return this;
  }

  peer(ordinal: number): StubCeramic {
    const peer = this.peers[ordinal];
    if (peer === undefined) {
      throw new Error(`no peer ${ordinal}`);
    }
    return peer;
  }

  async stop(): Promise<void> {
    await Promise.all(this.peers.map((peer) => peer.stop()));
  }
}

/** A container whose hashes and signature are right, taken apart. */
function opened({ jws, linkedBlock }: Container): { cid: CID; payload: Payload } {
  const [{ protected: head, signature }] = jws.signatures;
  const linked = Buffer.from(linkedBlock, "base64");
  if (
    cborCid(linked).toString() !== jws.link ||
    CID.decode(Buffer.from(jws.payload, "base64url")).toString() !== jws.link
  ) {
    throw new Error("the signature is of another block");
  }
  const { kid } = JSON.parse(Buffer.from(head, "base64url").toString()) as { kid: string };
  verifyJws(head, jws.payload, signature, kid);
  const payload = dagCbor.decode<Payload>(linked);
  const controller = payload.header?.controllers[0];
  if (controller !== undefined && !kid.startsWith(`${controller}#`)) {
    throw new Error(`${kid} is not the controller ${controller}`);
  }
  const envelope = dagCbor.encode({
    payload: Buffer.from(jws.payload, "base64url"),
    signatures: [{ protected: Buffer.from(head, "base64url"), signature: Buffer.from(signature, "base64url") }],
  });
  return { cid: CID.createV1(0x85, cborCid(envelope).multihash), payload };
}

function verifyJws(head: string, payload: string, signature: string, kid: string): void {
  const raw = base58btc.decode(kid.slice(kid.indexOf("#") + 1)).subarray(2);
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  if (!verify(null, Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, "base64url"))) {
    throw new Error("the signature is wrong");
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

const logOf = (log: readonly CID[]) => log.map((cid) => ({ cid: cid.toString() }));
const lineOf = ({ token, commitId: id }: { readonly token: string; readonly commitId: string }): string =>
  `data: ${JSON.stringify({ commitId: id, resumeToken: token, content: {}, metadata: {}, eventType: 1 })}\n\n`;
