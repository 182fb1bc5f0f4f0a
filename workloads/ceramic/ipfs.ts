import * as dagCbor from "@ipld/dag-cbor";
import type { CID } from "multiformats/cid";
import { z } from "zod";
import type { Endpoint } from "../../schema/run.ts";
import { MemberClient } from "../core/member-client.ts";
import { type Call, type Reply, replyOf } from "./peer.ts";
import { cborCid } from "./streams.ts";

const keySchema = z.object({ Key: z.string() });
const boundary = "orrery-block";

/** A block that says whose it is. */
export interface Block {
  readonly cid: CID;
  readonly bytes: Uint8Array;
  readonly fields: { readonly nonce: string; readonly user: number };
}

export function blockOf(nonce: string, user: number): Block {
  const fields = { nonce, user };
  const bytes = dagCbor.encode(fields);
  return { cid: cborCid(bytes), bytes, fields };
}

/** kubo's RPC at one peer; the same calls of ceramic-one. */
export class IpfsPeer {
  readonly endpoint: Endpoint;
  readonly #client: MemberClient;

  /** @throws Error when the network does not say where the RPC is */
  constructor(endpoint: Endpoint) {
    const url = endpoint.attributes?.ipfs;
    if (url === undefined) {
      throw new Error(`the network gives no IPFS RPC of ${endpoint.pod}; ipfs and recon operations need it`);
    }
    this.endpoint = endpoint;
    this.#client = new MemberClient(endpoint, url);
  }

  /** Stores a block; the name it gets has to be the one it should have. */
  async put(block: Block, call: Call): Promise<Reply<string>> {
    const head = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="block"\r\ncontent-type: application/octet-stream\r\n\r\n`;
    const body = Buffer.concat([Buffer.from(head), block.bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
    const type = `multipart/form-data; boundary=${boundary}`;
    const path = "/api/v0/block/put?cid-codec=dag-cbor&mhtype=sha2-256";
    const reply = replyOf(await this.#post(path, body, type, call), keySchema);
    if (!reply.ok) {
      return reply;
    }
    const { Key } = reply.value;
    return Key === block.cid.toString()
      ? { ok: true, value: Key }
      : { ok: false, code: "other_block", why: `it is called ${Key} and not ${block.cid}` };
  }

  /** Gets a block, from wherever it is, and compares it. */
  async get(block: Block, call: Call): Promise<Reply<unknown>> {
    const path = `/api/v0/dag/get?arg=${block.cid}&output-codec=dag-json`;
    const schema = z.object({ nonce: z.literal(block.fields.nonce), user: z.literal(block.fields.user) });
    return replyOf(await this.#post(path, new Uint8Array(0), undefined, call), schema);
  }

  /** ceramic-one: tells it that events of a model are wanted. */
  async interest(model: string, call: Call): Promise<Reply<unknown>> {
    return replyOf(
      await this.#post(`/ceramic/interests/model/${model}`, new Uint8Array(0), undefined, call),
      z.unknown(),
    );
  }

  /** ceramic-one: hands it an event, a CAR file in base64 as multibase has it. */
  async event(car: Uint8Array, call: Call): Promise<Reply<unknown>> {
    const body = JSON.stringify({ data: `m${Buffer.from(car).toString("base64").replace(/=+$/, "")}` });
    return replyOf(await this.#post("/ceramic/events", Buffer.from(body), "application/json", call), z.unknown());
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #post(path: string, body: Uint8Array, type: string | undefined, { headers, limitMs }: Call) {
    return await this.#client.attempt({
      method: "POST",
      path,
      body,
      headers: { ...headers, ...(type === undefined ? {} : { "content-type": type }) },
      limitMs,
    });
  }
}
