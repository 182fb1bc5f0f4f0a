import { CID } from "multiformats/cid";
import { z } from "zod";
import type { Endpoint } from "../../schema/run.ts";
import { type Attempt, MemberClient } from "../core/member-client.ts";
import type { Signer } from "./did.ts";
import type { Content } from "./documents.ts";
import { type Commit, streamTypes } from "./streams.ts";

/** State of a stream as far as it matters here. */
export interface StreamState {
  readonly content: Content;
  readonly tip: CID;
  /** `NOT_REQUESTED`, `PENDING`, `ANCHORED`, `FAILED`, ... */
  readonly anchorStatus: string | undefined;
}

/** What a request came to. */
export type Reply<T> =
  | { readonly ok: true; readonly value: T }
  /** `code` is a short stable word; `status` is there when the peer answered. */
  | { readonly ok: false; readonly code: string; readonly status?: number; readonly why: string };

const content = z.record(z.string(), z.unknown());
const stateSchema = z.object({
  content,
  next: z.object({ content: content.optional() }).optional(),
  log: z.array(z.object({ cid: z.string() })).min(1),
  anchorStatus: z.string().optional(),
});
const streamSchema = z.object({ streamId: z.string(), state: stateSchema });
const edgesSchema = z.object({ edges: z.array(z.object({ node: stateSchema.nullable() })) });
const countSchema = z.object({ count: z.int().min(0) });
const codeSchema = z.object({ code: z.string() });

/** Request headers and how long it may take. */
export interface Call {
  readonly headers?: Readonly<Record<string, string>>;
  readonly limitMs: number;
}

/** Answered from what the peer has, without asking the network. */
const neverSync = 2;

/** js-ceramic's HTTP API at one peer; only what drivers need of it. */
export class CeramicPeer {
  readonly endpoint: Endpoint;
  readonly #client: MemberClient;
  /** Whether anchors are asked for; where there is no anchor service, asking only costs. */
  readonly #anchor: boolean;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
    this.#client = new MemberClient(endpoint);
    this.#anchor = (endpoint.attributes?.network ?? "inmemory") !== "inmemory";
  }

  /** Makes a stream, or gets it where it is there. */
  async create(type: number, genesis: Commit, call: Call): Promise<Reply<StreamState>> {
    const anchor = this.#anchor && type === streamTypes.document;
    const opts = { anchor, publish: true, sync: neverSync, syncTimeoutSeconds: 0 };
    return await this.#stream("POST", "/streams", { type, genesis: genesis.container, opts }, call);
  }

  async change(streamId: string, commit: Commit, call: Call): Promise<Reply<StreamState>> {
    const opts = { anchor: this.#anchor, publish: true };
    return await this.#stream("POST", "/commits", { streamId, commit: commit.container, opts }, call);
  }

  async read(streamId: string, call: Call): Promise<Reply<StreamState>> {
    return await this.#stream("GET", `/streams/${streamId}?sync=0`, undefined, call);
  }

  /** Contents of documents of a model in which a field has a value, twenty at most. */
  async query(model: string, where: Content, call: Call): Promise<Reply<Content[]>> {
    const filter = Object.fromEntries(Object.entries(where).map(([field, value]) => [field, { equalTo: value }]));
    const body = { model, queryFilters: { where: filter }, first: 20 };
    const reply = await this.#ask("POST", "/collection", body, call, edgesSchema);
    return map(reply, ({ edges }) => edges.flatMap(({ node }) => (node === null ? [] : [contentOf(node)])));
  }

  /** Documents of a model in the peer's index. */
  async count(model: string, call: Call): Promise<Reply<number>> {
    return map(await this.#ask("POST", "/collection/count", { model }, call, countSchema), ({ count }) => count);
  }

  /** Has the peer index models, and so follow their documents; `admin` is one of its admins. */
  async index(models: readonly { streamID: string; indices: object[] }[], admin: Signer, call: Call) {
    const code = await this.#ask("GET", "/admin/getCode", undefined, call, codeSchema);
    if (!code.ok) {
      return code;
    }
    const path = "/api/v0/admin/modelData";
    const jws = admin.compactJws({ code: code.value.code, requestPath: path, requestBody: { modelData: models } });
    return await this.#ask("POST", "/admin/modelData", { jws }, call, z.unknown());
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #stream(method: "GET" | "POST", path: string, body: unknown, call: Call): Promise<Reply<StreamState>> {
    return map(await this.#ask(method, path, body, call, streamSchema), ({ state }) => ({
      content: contentOf(state),
      tip: CID.parse(state.log.at(-1)?.cid ?? ""),
      anchorStatus: state.anchorStatus,
    }));
  }

  async #ask<T>(method: "GET" | "POST", path: string, body: unknown, call: Call, schema: z.ZodType<T>) {
    const attempt = await this.#client.attempt({
      method,
      path: `/api/v0${path}`,
      headers: { ...call.headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      limitMs: call.limitMs,
    });
    return replyOf(attempt, schema);
  }
}

/** An update that is yet to be anchored is in `next`. */
const contentOf = ({ content, next }: z.output<typeof stateSchema>): Content => next?.content ?? content;

function map<A, B>(reply: Reply<A>, change: (value: A) => B): Reply<B> {
  return reply.ok ? { ok: true, value: change(reply.value) } : reply;
}

/** A peer's answer, as `schema` has it; one that is not is a failure with the code `malformed`. */
export function replyOf<T>(attempt: Attempt, schema: z.ZodType<T>): Reply<T> {
  if (attempt.kind === "failure") {
    return { ok: false, code: attempt.code, why: attempt.code };
  }
  const { status, body } = attempt;
  if (status >= 300) {
    return { ok: false, code: `http_${status}`, status, why: body.slice(0, 300) };
  }
  const parsed = schema.safeParse(jsonOf(body));
  return parsed.success
    ? { ok: true, value: parsed.data }
    : { ok: false, code: "malformed", status, why: body.slice(0, 300) };
}

function jsonOf(body: string): unknown {
  try {
    return body === "" ? undefined : JSON.parse(body);
  } catch {
    return body; // the schema says what is wrong with it
  }
}
