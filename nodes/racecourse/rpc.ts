import { z } from "zod";

const answerSchema = z.object({
  result: z.unknown().optional(),
  error: z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() }).optional(),
});

/** The node answered, and the answer is an error. */
export class RpcError extends Error {
  readonly code: number;
  /** What a contract reverted with, in hex, if that is what happened. */
  readonly data: unknown;

  constructor(code: number, message: string, data: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** No usable answer: nobody there, too late, or not JSON-RPC. */
export class NodeAway extends Error {}

/** JSON-RPC 2.0 over HTTP to one node. */
export class JsonRpc {
  readonly url: string;
  readonly #timeoutMs: number;
  #id = 0;

  constructor(url: string, timeoutMs = 3_000) {
    this.url = url;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @throws RpcError when the node refuses
   * @throws NodeAway when it does not answer
   * @throws z.ZodError when the result is not of the expected shape
   */
  async call<T>(method: string, params: readonly unknown[], result: z.ZodType<T>): Promise<T> {
    this.#id += 1;
    const request = { jsonrpc: "2.0", id: this.#id, method, params };
    const answer = answerSchema.safeParse(await this.#post(JSON.stringify(request)));
    if (!answer.success) throw new NodeAway(`${this.url} does not speak JSON-RPC`);
    const { error } = answer.data;
    if (error !== undefined) throw new RpcError(error.code, error.message, error.data);
    return result.parse(answer.data.result);
  }

  async #post(body: string): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    const signal = AbortSignal.timeout(this.#timeoutMs);
    try {
      const response = await fetch(this.url, { method: "POST", headers, body, signal });
      return await response.json();
    } catch (error) {
      throw new NodeAway(`${this.url} does not answer`, { cause: error });
    }
  }
}

/** A number as JSON-RPC writes it, `0x1f`. */
export const quantity = z
  .string()
  .regex(/^0x[0-9a-fA-F]+$/)
  .transform(Number);

/** The same where it may be larger than 2^53. */
export const bigQuantity = z
  .string()
  .regex(/^0x[0-9a-fA-F]+$/)
  .transform(BigInt);

/** Bytes in hex, with 0x. */
export const hexBytes = z.string().regex(/^0x[0-9a-fA-F]*$/);
