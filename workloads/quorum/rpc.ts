import { Pool } from "undici";
import { z } from "zod";
import type { Endpoint } from "../../schema/run.ts";

/** What a node answered in place of a result. */
export class RpcRefusal extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** There was no answer. */
export class RpcSilence extends Error {
  /** False when the request surely never reached the node. */
  readonly sent: boolean;
  readonly timedOut: boolean;

  constructor(message: string, how: { readonly sent: boolean; readonly timedOut: boolean }, options?: ErrorOptions) {
    super(message, options);
    this.sent = how.sent;
    this.timedOut = how.timedOut;
  }
}

const answersSchema = z.array(
  z.object({
    id: z.int(),
    result: z.unknown().optional(),
    error: z.object({ code: z.number(), message: z.string() }).optional(),
  }),
);

const statusesSchema = z.object({
  data: z.object({
    block: z
      .object({
        transactions: z.array(
          z.object({ hash: z.string(), status: z.union([z.number(), z.string()]).transform(Number) }),
        ),
      })
      .nullable(),
  }),
});

interface Call {
  readonly id: number;
  readonly text: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly sinceMs: number;
  /** Given up when the node has answered nothing at all for this long, and in any case at that time. */
  readonly silenceMs: number;
  readonly untilMs: number;
}

/** Batches under way to one node. Calls that come meanwhile make up the next one, so that load makes batches larger. */
const batchesAtOnce = 4;
const callsOfBatch = 100;
const bytesOfBatch = 1_000_000;
/** How often calls under way are looked at; they give up that much late. */
const watchMs = 20;
const neverSent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** JSON-RPC over HTTP to one node, in batches. A pod that is started again has another address: connections are made anew. */
export class NodeRpc {
  readonly endpoint: Endpoint;
  readonly #pool: Pool;
  readonly #waiting: Call[] = [];
  #underWay = 0;
  #lastId = 0;
  #closed = false;
  #hasGraphql = true;
  #heardMs = Number.NEGATIVE_INFINITY;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
    this.#pool = new Pool(endpoint.url, {
      connections: batchesAtOnce + 1, // one for statuses
      pipelining: 1,
      connect: { timeout: 1_000 },
      headersTimeout: 0, // each batch has a limit of its own
      bodyTimeout: 0,
    });
  }

  /**
   * One call.
   *
   * @param patienceMs A node that answers others meanwhile is waited for so long; `limitMs` when absent.
   * @throws RpcRefusal what the node answered in place of a result.
   * @throws RpcSilence when there was no answer in time.
   */
  async call(method: string, params: readonly unknown[], limitMs: number, patienceMs = limitMs): Promise<unknown> {
    if (this.#closed) {
      throw new RpcSilence("the client was closed", { sent: false, timedOut: false });
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const text = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    return await new Promise((resolve, reject) => {
      const sinceMs = performance.now();
      this.#waiting.push({ id, text, resolve, reject, sinceMs, silenceMs: limitMs, untilMs: sinceMs + patienceMs });
      if (this.#waiting.length === 1) {
        setImmediate(() => this.#send()); // whatever else is asked in this turn goes along
      }
    });
  }

  /** False when the node was asked and has no GraphQL. */
  get hasGraphql(): boolean {
    return this.#hasGraphql;
  }

  /**
   * The status of every transaction of a block, by hash, in one request of GraphQL (EIP-1767). Receipts have to be asked
   * for one by one, and for each geth reads the whole block: for a block of 1,000 transactions that is 2 s of its CPU.
   *
   * @returns Undefined when the node has no GraphQL, or does not answer.
   */
  async statuses(block: string, limitMs: number): Promise<ReadonlyMap<string, number> | undefined> {
    if (!this.#hasGraphql) {
      return undefined;
    }
    const query = `{block(hash:"${block}"){transactions{hash status}}}`;
    try {
      const answer = await this.#pool.request({
        method: "POST",
        path: "/graphql",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ query }),
        signal: AbortSignal.timeout(limitMs),
      });
      const text = await answer.body.text();
      this.#hasGraphql = answer.statusCode !== 404;
      const found =
        answer.statusCode === 200 ? statusesSchema.parse(JSON.parse(text)).data.block?.transactions : undefined;
      return found && new Map(found.map(({ hash, status }) => [hash, status]));
    } catch {
      return undefined; // receipts tell the same
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool.destroy();
  }

  #send(): void {
    while (this.#underWay < batchesAtOnce && this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      this.#underWay += 1;
      this.#exchange(batch)
        .catch((error: Error) => batch.map(({ reject }) => reject(error)))
        .finally(() => {
          this.#underWay -= 1;
          this.#send();
        });
    }
  }

  #takeBatch(): Call[] {
    let bytes = 0;
    const end = this.#waiting.findIndex(({ text }, index) => {
      bytes += text.length;
      return index > 0 && (index === callsOfBatch || bytes > bytesOfBatch);
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }

  async #exchange(batch: readonly Call[]): Promise<void> {
    if (batch.every((call) => this.#leftMs(call) <= 0)) {
      throw new RpcSilence("there was no time left to ask", { sent: false, timedOut: true });
    }
    const given = new AbortController();
    const limit = given.signal;
    const watch = this.#watch(batch, given);
    try {
      const answer = await this.#pool.request({
        method: "POST",
        path: new URL(this.endpoint.url).pathname,
        headers: { "content-type": "application/json" },
        body: `[${batch.map(({ text }) => text).join(",")}]`,
        signal: limit,
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) {
        throw new RpcSilence(`HTTP ${answer.statusCode} ${text.slice(0, 200)}`, { sent: true, timedOut: false });
      }
      this.#heardMs = performance.now();
      settle(batch, answersSchema.parse(JSON.parse(text)));
    } catch (error) {
      throw silence(error, limit.aborted);
    } finally {
      clearInterval(watch);
    }
  }

  #leftMs({ sinceMs, silenceMs, untilMs }: Call): number {
    return Math.min(untilMs, Math.max(sinceMs, this.#heardMs) + silenceMs) - performance.now();
  }

  /** A batch waits for its most patient call; the others give up before. */
  #watch(batch: readonly Call[], given: AbortController): NodeJS.Timeout {
    const open = new Set(batch);
    return setInterval(() => {
      for (const call of open) {
        if (this.#leftMs(call) <= 0) {
          open.delete(call);
          call.reject(new RpcSilence("no answer in time", { sent: true, timedOut: true }));
        }
      }
      if (open.size === 0) given.abort();
    }, watchMs);
  }
}

function settle(batch: readonly Call[], answers: z.output<typeof answersSchema>): void {
  const byId = new Map(answers.map((answer) => [answer.id, answer]));
  for (const { id, resolve, reject } of batch) {
    const answer = byId.get(id);
    if (answer === undefined) {
      reject(new RpcSilence("the node left the call unanswered", { sent: true, timedOut: false }));
    } else if (answer.error !== undefined) {
      reject(new RpcRefusal(answer.error.code, answer.error.message));
    } else {
      resolve(answer.result);
    }
  }
}

function silence(error: unknown, timedOut: boolean): RpcSilence {
  if (error instanceof RpcSilence) {
    return error;
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const message = error instanceof Error ? error.message : String(error);
  return new RpcSilence(message, { sent: !neverSent.has(code), timedOut }, { cause: error });
}
