import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as dagCbor from "@ipld/dag-cbor";
import { id as keccakOf } from "ethers";
import fc from "fast-check";
import { base36 } from "multiformats/bases/base36";
import { CID } from "multiformats/cid";
import { sha256 } from "multiformats/hashes/sha2";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { anchorBatch } from "../../../nodes/cas/anchoring.ts";
import { blockOf, carOf } from "../../../nodes/cas/blocks.ts";
import { Chain, transactionCid } from "../../../nodes/cas/chain.ts";
import { merkleTree } from "../../../nodes/cas/merkle.ts";
import { Queue } from "../../../nodes/cas/queue.ts";
import { application } from "../../../nodes/cas/server.ts";
import { genesisOf } from "../../../nodes/cas/stream-id.ts";

/** CID of a signed event, as far as this matters: dag-jose. */
const tip = async (number: number): Promise<CID> =>
  CID.createV1(0x85, await sha256.digest(new TextEncoder().encode(`tip ${number}`)));
const tips = async (count: number): Promise<CID[]> =>
  await Promise.all(Array.from({ length: count }, (_, n) => tip(n)));
const streamOf = (cid: CID): string => base36.encode(Uint8Array.from([0xce, 0x01, 0x03, ...cid.bytes]));

/** The blocks of a CAR file by their CIDs, and its roots: read independently of what wrote it. */
function readCar(bytes: Uint8Array): { readonly roots: readonly CID[]; readonly blocks: ReadonlyMap<string, unknown> } {
  const sections: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    let size = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes[at++] ?? 0;
      size += (byte & 0x7f) << shift;
      more = byte >= 0x80;
    }
    sections.push(bytes.subarray(at, at + size));
    at += size;
  }
  const [header, ...rest] = sections;
  const { roots } = dagCbor.decode<{ readonly roots: CID[] }>(header ?? new Uint8Array());
  const blocks = rest.map((section): [string, unknown] => {
    const [cid, data] = CID.decodeFirst(section);
    return [cid.toString(), dagCbor.decode(data)];
  });
  return { roots, blocks: new Map(blocks) };
}

describe("the tree", () => {
  test("leads to every leaf by its path over the blocks of its witness, and its root is dag-cbor", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 70 }), async (count) => {
        const leaves = await tips(count);
        const { root, witnesses } = await merkleTree(leaves);
        expect(root.code).toBe(dagCbor.code);
        for (const [index, { path, blocks }] of witnesses.entries()) {
          const byCid = new Map(blocks.map(({ cid, bytes }) => [cid.toString(), dagCbor.decode<CID[]>(bytes)]));
          const end = path.split("/").reduce((at, side) => byCid.get(at.toString())?.[Number(side)] ?? root, root);
          expect(end.toString()).toBe(leaves[index]?.toString());
        }
      }),
      { numRuns: 30 },
    );
  });

  test("of nothing is refused", async () => {
    await expect(merkleTree([])).rejects.toThrow("at least one leaf");
  });
});

test("a CAR file is read back as it was written", async () => {
  const blocks = [await blockOf({ a: "x".repeat(300) }), await blockOf([1, 2])];
  const { roots, blocks: read } = readCar(carOf(blocks[1]?.cid as CID, blocks));
  expect(roots.map(String)).toEqual([String(blocks[1]?.cid)]);
  expect([...read.values()]).toEqual([{ a: "x".repeat(300) }, [1, 2]]);
});

test("a StreamID holds the CID of the first event, and other texts are refused", async () => {
  const cid = await tip(1);
  expect(genesisOf(streamOf(cid)).toString()).toBe(cid.toString());
  // One of js-ceramic's documentation.
  expect(genesisOf("k2t6wyfsu4pg0t2n4j8ms3s33xsgqjhtto04mvq8w5a2v5xo48idyz38l7ydki").version).toBe(1);
  expect(() => genesisOf(base36.encode(Uint8Array.from([1, 2, 3])))).toThrow("is no StreamID");
});

describe("the queue", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "orrery-cas-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test("keeps requests and their ends over a restart, without what a crash cut off", async () => {
    const queue = await Queue.open(folder);
    await Promise.all(["a", "b", "c", "a"].map((cid) => queue.add("stream", cid)));
    await queue.finish([
      { kind: "anchored", cid: "a", atMs: 5, anchorCid: "x", witness: "w" },
      { kind: "replaced", cid: "b", atMs: 5 },
    ]);
    await queue.close();
    const file = join(folder, "requests.jsonl");
    await writeFile(file, `${await readFile(file, "utf8")}{"kind":"request","cid":"d`);

    const again = await Queue.open(folder);
    expect(again.pending().map(({ cid }) => cid)).toEqual(["c"]);
    expect(again.get("a")?.state).toEqual({ status: "COMPLETED", anchorCid: "x", witness: "w" });
    expect(again.get("b")?.state).toEqual({ status: "REPLACED" });
    expect(again.get("d")).toBeUndefined();
    await again.add("stream", "e");
    await again.close();
    const third = await Queue.open(folder);
    expect(third.pending().map(({ cid }) => cid)).toEqual(["c", "e"]);
    await third.close();
  });
});

/** A chain that takes transactions and puts each into a block of its own, unless it is down. */
class FakeChain {
  readonly sent: Record<string, string>[] = [];
  down = false;
  readonly #server: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (text) => {
      body += text;
    });
    request.on("end", () => {
      const { method, params } = JSON.parse(body) as { readonly method: string; readonly params: never[] };
      response.end(
        JSON.stringify(this.down ? { error: { message: "down" } } : { result: this.#answer(method, params) }),
      );
    });
  });

  #answer(method: string, params: readonly never[]): unknown {
    if (method === "eth_chainId") return "0x539";
    if (method === "eth_accounts") return ["0x01"];
    if (method === "eth_getTransactionReceipt") return { status: "0x1", blockNumber: "0x2" };
    this.sent.push(params[0] as unknown as Record<string, string>);
    return `0x${"ab".repeat(32)}`;
  }

  async start(): Promise<Chain> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return new Chain(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

describe("the service", () => {
  let folder: string;
  let queue: Queue;
  let fake: FakeChain;
  let chain: Chain;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "orrery-cas-"));
    queue = await Queue.open(folder);
    fake = new FakeChain();
    chain = await fake.start();
  });
  afterEach(async () => {
    fake.stop();
    await queue.close();
    await rm(folder, { recursive: true, force: true });
  });
  const call = async (path: string, body?: object) => {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const answer = await application(queue, chain).request(path, init);
    return { status: answer.status, body: (await answer.json()) as Record<string, never> };
  };
  const ask = async (cid: CID, stream: string) =>
    await call("/api/v0/requests", { streamId: stream, cid: cid.toString(), timestamp: "2026-01-01T00:00:00Z" });

  test("anchors what was asked for by a transaction, and its witness proves it", async () => {
    const asked = await tips(3);
    for (const cid of asked)
      expect(await ask(cid, streamOf(cid))).toMatchObject({ status: 201, body: { status: "PENDING" } });
    await anchorBatch(queue, chain, 10);
    expect(fake.sent).toHaveLength(1);

    for (const cid of asked) {
      const { body } = await call(`/api/v0/requests/${cid}`);
      expect(body).toMatchObject({ status: "COMPLETED", cid: cid.toString(), streamId: streamOf(cid) });
      const { roots, blocks } = readCar(Buffer.from(String(body.witnessCar), "base64"));
      const anchor = blocks.get(String(roots[0])) as { id: CID; prev: CID; proof: CID; path: string };
      expect(String(roots[0])).toBe((body.anchorCommit as unknown as { cid: string }).cid);
      expect([String(anchor.id), String(anchor.prev)]).toEqual([String(cid), String(cid)]);
      const proof = blocks.get(String(anchor.proof)) as { chainId: string; root: CID; txHash: CID; txType: string };
      expect(proof).toMatchObject({ chainId: "eip155:1337", txType: "f(bytes32)" });
      expect(String(proof.txHash)).toBe(String(transactionCid(`0x${"ab".repeat(32)}`)));
      const written = `${keccakOf("anchorDagCbor(bytes32)").slice(0, 10)}${Buffer.from(proof.root.multihash.digest).toString("hex")}`;
      expect(fake.sent[0]?.data).toBe(written);
      const leaf = anchor.path
        .split("/")
        .reduce((at, side) => (blocks.get(String(at)) as CID[])[Number(side)] as CID, proof.root);
      expect(String(leaf)).toBe(String(cid));
    }
  });

  test("anchors the newest tip of a stream, which stands for the others", async () => {
    const [first, second] = await tips(2);
    const stream = streamOf(first as CID);
    await ask(first as CID, stream);
    await ask(second as CID, stream);
    await anchorBatch(queue, chain, 10);
    expect((await call(`/api/v0/requests/${first}`)).body.status).toBe("REPLACED");
    expect((await call(`/api/v0/requests/${second}`)).body.status).toBe("COMPLETED");
  });

  test("keeps what could not be anchored for the next time", async () => {
    const [cid] = await tips(1);
    await ask(cid as CID, streamOf(cid as CID));
    fake.down = true;
    await expect(anchorBatch(queue, chain, 10)).rejects.toThrow("down");
    expect((await call(`/api/v0/requests/${cid}`)).body.status).toBe("PENDING");
    fake.down = false;
    await anchorBatch(queue, chain, 10);
    expect((await call(`/api/v0/requests/${cid}`)).body.status).toBe("COMPLETED");
  });

  test("asked twice for the same tip, anchors it once", async () => {
    const [cid] = await tips(1);
    await Promise.all([ask(cid as CID, streamOf(cid as CID)), ask(cid as CID, streamOf(cid as CID))]);
    await anchorBatch(queue, chain, 10);
    await ask(cid as CID, streamOf(cid as CID));
    await anchorBatch(queue, chain, 10);
    expect(fake.sent).toHaveLength(1);
  });

  test("names its chain, and refuses what it cannot read", async () => {
    expect((await call("/api/v0/service-info/supported_chains")).body).toEqual({ supportedChains: ["eip155:1337"] });
    expect(await call("/api/v0/requests", { cid: "x" })).toMatchObject({ status: 400 });
    expect(await call("/api/v0/requests", { streamId: "kx", cid: "x" })).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining("cannot be read") },
    });
    expect(await call("/api/v0/requests/unknown")).toMatchObject({ status: 404 });
  });
});
