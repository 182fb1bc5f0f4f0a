import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as dagCbor from "@ipld/dag-cbor";
import { varint } from "multiformats";
import { CID } from "multiformats/cid";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { RunSpec } from "../../../schema/run.ts";
import { connect } from "../../../workloads/ceramic/connector.ts";
import { cborCid } from "../../../workloads/ceramic/streams.ts";
import type { Connector, Outcome } from "../../../workloads/core/connector.ts";
import { seededRandom } from "../../../workloads/core/random.ts";

/**
 * Peers with one block store: kubo's block/put and dag/get, and of ceramic-one what Keramik's runner calls, POST
 * /ceramic/interests/model/<id> and /ceramic/events, both answered 204. Facts of systems.md and @ceramic-sdk 0.12;
 * ceramic-one itself was never asked.
 */
class StubIpfs {
  readonly blocks = new Map<string, Uint8Array>();
  readonly interests = new Set<string>();
  readonly events: Uint8Array[] = [];
  /** Names every block the same, as a peer with another codec would. */
  confused = false;
  readonly servers: Server[] = [];

  async listen(count: number): Promise<this> {
    for (let ordinal = 0; ordinal < count; ordinal += 1) {
      const server = createServer((request, response) => void this.#answer(ordinal, request, response));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      this.servers.push(server);
    }
    return this;
  }

  get urls(): string[] {
    return this.servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  async stop(): Promise<void> {
    for (const server of this.servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async #answer(ordinal: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://stub");
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk as Buffer);
    }
    const body = Buffer.concat(chunks);
    if (pathname === "/api/v0/block/put" && searchParams.get("cid-codec") === "dag-cbor") {
      const block = await fileOf(body, request.headers["content-type"] ?? "");
      const cid = cborCid(this.confused ? new Uint8Array(1) : block).toString();
      this.blocks.set(cid, block);
      response.end(JSON.stringify({ Key: cid, Size: block.length }));
    } else if (pathname === "/api/v0/dag/get") {
      const block = this.blocks.get(searchParams.get("arg") ?? "");
      response.writeHead(block === undefined ? 500 : 200);
      response.end(block === undefined ? "{}" : JSON.stringify(dagCbor.decode(block)));
    } else if (pathname.startsWith("/ceramic/interests/model/")) {
      this.interests.add(`${ordinal} ${pathname.split("/").at(-1)}`);
      response.writeHead(204).end();
    } else if (pathname === "/ceramic/events") {
      const { data } = JSON.parse(body.toString()) as { data: string };
      this.events.push(Buffer.from(data.slice(1), "base64"));
      response.writeHead(data.startsWith("m") ? 204 : 400).end();
    } else {
      response.writeHead(404).end();
    }
  }
}

/** The one file of a multipart body, as another implementation than the sender's reads it. */
async function fileOf(body: Buffer, type: string): Promise<Uint8Array> {
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
  return new Uint8Array(await (form.get("file") as File).arrayBuffer());
}

let ipfs: StubIpfs;

beforeEach(async () => {
  ipfs = await new StubIpfs().listen(2);
});

afterEach(() => ipfs.stop());

async function connected(operations: RunSpec["operations"], worker = 0): Promise<Connector> {
  const credentials = await mkdtemp(join(tmpdir(), "orrery-ceramic-"));
  onTestFinished(() => rm(credentials, { recursive: true }));
  await writeFile(join(credentials, "admin-seed"), "07".repeat(32));
  const endpoints = ipfs.urls.map((url, ordinal) => ({
    group: "ceramic",
    ordinal,
    pod: `ceramic-${ordinal}`,
    url: "http://127.0.0.1:1",
    attributes: { ipfs: url, metrics: url },
  }));
  const spec = { run: "r1", seed: 1, operations, parameters: { authors: 3 }, endpoints } as unknown as RunSpec;
  const connector = await connect(spec, { worker, credentials });
  onTestFinished(() => connector.close());
  return connector;
}

async function perform(connector: Connector, name: string, sequence: number): Promise<Outcome | undefined> {
  const context = { sequence, random: seededRandom(sequence), headers: {}, remainingMs: () => 20_000 };
  return await connector.operations[name]?.(context);
}

describe("blocks", () => {
  test("are stored under the name they should have, and got by every worker from where the first stored them", async () => {
    const first = await connected({ ipfs_put: 1, ipfs_get: 1 });
    expect(ipfs.blocks.size).toBe(3); // one of each author
    const second = await connected({ ipfs_get: 1 }, 1);
    for (let sequence = 0; sequence < 6; sequence += 1) {
      expect(await perform(first, "ipfs_put", sequence)).toMatchObject({ ok: true, attempts: 1 });
      expect(await perform(first, "ipfs_get", sequence)).toMatchObject({ ok: true });
      expect(await perform(second, "ipfs_get", sequence)).toMatchObject({ ok: true });
    }
    expect(ipfs.blocks.size).toBe(9);
  });

  test("of another name or content are failures", async () => {
    const connector = await connected({ ipfs_put: 1, ipfs_get: 1 });
    for (const cid of ipfs.blocks.keys()) {
      ipfs.blocks.set(cid, dagCbor.encode({ nonce: "other", user: 0 }));
    }
    expect(await perform(connector, "ipfs_get", 1)).toMatchObject({ ok: false, code: "malformed" });
    ipfs.confused = true;
    expect(await perform(connector, "ipfs_put", 2)).toMatchObject({ ok: false, code: "other_block" });
    ipfs.blocks.clear();
    expect(await perform(connector, "ipfs_get", 3)).toMatchObject({ ok: false, code: "http_500" });
  });
});

describe("events for ceramic-one (never tried against it)", () => {
  test("every peer is told of the run's model before the load", async () => {
    await connected({ recon_event: 1 });
    const interests = [...ipfs.interests].map((interest) => interest.split(" "));
    expect(interests.map(([ordinal]) => ordinal).sort()).toEqual(["0", "1"]);
    expect(new Set(interests.map(([, model]) => model)).size).toBe(1);
  });

  test("are signed documents of that model, as CAR files with the signature for their root", async () => {
    const connector = await connected({ recon_event: 1 });
    expect(await perform(connector, "recon_event", 1)).toMatchObject({ ok: true });
    const { roots, blocks } = carOf(ipfs.events[0] ?? new Uint8Array());
    const [envelope, payload] = blocks;
    expect(roots.map(String)).toEqual([envelope?.cid.toString()]);
    expect(envelope?.cid.code).toBe(0x85); // dag-jose
    const { payload: link } = dagCbor.decode<{ payload: Uint8Array }>(envelope?.bytes ?? new Uint8Array());
    expect(CID.decode(link).toString()).toBe(payload?.cid.toString());
    expect(cborCid(payload?.bytes ?? new Uint8Array()).toString()).toBe(payload?.cid.toString());
    const { data, header } = dagCbor.decode<{ data: { name: string }; header: { sep: string; controllers: string[] } }>(
      payload?.bytes ?? new Uint8Array(),
    );
    expect(data.name).toHaveLength(500);
    expect(header).toMatchObject({ sep: "model", controllers: [expect.stringMatching(/^did:key:z6Mk/)] });
  });

  test("differ from one to the next, and are the same for the same seed and run", async () => {
    const [first, second] = [await connected({ recon_event: 1 }), await connected({ recon_event: 1 })];
    for (const connector of [first, second]) {
      await perform(connector, "recon_event", 1);
      await perform(connector, "recon_event", 2);
    }
    const texts = ipfs.events.map((event) => Buffer.from(event).toString("hex"));
    expect(new Set(texts).size).toBe(2);
  });
});

/** A CAR file, version 1, taken apart. */
function carOf(bytes: Uint8Array): { roots: CID[]; blocks: { cid: CID; bytes: Uint8Array }[] } {
  const sections: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [length, size] = varint.decode(bytes.subarray(at));
    sections.push(bytes.subarray(at + size, at + size + length));
    at += size + length;
  }
  const [head = new Uint8Array(), ...rest] = sections;
  const { roots, version } = dagCbor.decode<{ roots: CID[]; version: number }>(head);
  expect(version).toBe(1);
  return {
    roots,
    blocks: rest.map((section) => {
      const [cid, remainder] = CID.decodeFirst(section);
      return { cid, bytes: remainder };
    }),
  };
}
