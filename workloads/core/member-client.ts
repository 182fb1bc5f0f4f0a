import { type Dispatcher, errors, Pool } from "undici";
import type { Endpoint } from "../../schema/run.ts";

/** What came of one attempt at one member. */
export type Attempt =
  | { readonly kind: "answer"; readonly status: number; readonly body: string }
  /**
   * No answer. `sent` is false when the request surely never reached the member, `lost` when the member itself seems to
   * be gone, not only slow.
   */
  | { readonly kind: "failure"; readonly code: string; readonly sent: boolean; readonly lost: boolean };

export interface AttemptRequest {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly limitMs: number;
}

/** In use at a time; more requests than this wait their turn, which counts into their time. */
const connections = 128;

/**
 * One member of the network and the connections to it. A pod that is started again has another address: every new
 * connection looks the name up, and when a member falls silent all its connections are made anew. One that is only slow
 * keeps them, or an overloaded network would be loaded further with connecting.
 */
export class MemberClient {
  readonly endpoint: Endpoint;
  #pool: Pool;
  #avoidUntilMs = 0;
  #lastAnswerMs = 0;

  readonly #url: string;

  /** @param url Base URL of another interface of the member than its main one. */
  constructor(endpoint: Endpoint, url = endpoint.url) {
    this.endpoint = endpoint;
    this.#url = url;
    this.#pool = this.#open();
  }

  /** Not to be asked before this time while others are there, on the clock of `performance.now()`. */
  get avoidUntilMs(): number {
    return this.#avoidUntilMs;
  }

  avoidFor(ms: number): void {
    this.#avoidUntilMs = performance.now() + ms;
  }

  async attempt({ method, path, body, headers = {}, limitMs }: AttemptRequest): Promise<Attempt> {
    const pool = this.#pool;
    const begunMs = performance.now();
    const limit = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    // The signal alone would not do: a request that still waits for a connection does not listen to it.
    const limited = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => {
          limit.abort();
          reject(limit.signal.reason);
        },
        Math.max(1, limitMs),
      );
    });
    try {
      const exchange = exchangeOver(pool, { method, path, headers, signal: limit.signal }, body);
      exchange.catch(() => undefined); // after the limit nobody waits for it any more
      const answer = await Promise.race([exchange, limited]);
      this.#lastAnswerMs = performance.now();
      return { kind: "answer", ...answer };
    } catch (error) {
      const failure = classify(error, limit.signal.aborted);
      const silent = this.#lastAnswerMs < begunMs;
      if (failure.code === "timeout" && silent) {
        this.#replace(pool);
      }
      return { kind: "failure", ...failure, lost: silent || failure.code !== "timeout" };
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #open(): Pool {
    return new Pool(this.#url, {
      connections,
      pipelining: 1,
      connect: { timeout: 1_000 },
      keepAliveTimeout: 60_000,
      headersTimeout: 0, // the attempt's own limit rules
      bodyTimeout: 0,
    });
  }

  /** Requests under way keep the old connections until they end. */
  #replace(lost: Pool): void {
    if (this.#pool === lost) {
      this.#pool = this.#open();
      lost.close().catch(() => lost.destroy());
    }
  }
}

async function exchangeOver(pool: Pool, options: Dispatcher.RequestOptions, body: string | Uint8Array | undefined) {
  const answer = await pool.request(body === undefined ? options : { ...options, body });
  return { status: answer.statusCode, body: await answer.body.text() };
}

const neverSent = new Set(["ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

function classify(error: unknown, timedOut: boolean): { code: string; sent: boolean } {
  if (timedOut) {
    return { code: "timeout", sent: true };
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ECONNREFUSED") {
    return { code: "refused", sent: false };
  }
  return error instanceof errors.ConnectTimeoutError || neverSent.has(code)
    ? { code: "unreachable", sent: false }
    : { code: "reset", sent: true };
}
