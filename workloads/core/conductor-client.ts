import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, type Dispatcher, request } from "undici";
import { messageOf } from "../../schema/errors.ts";
import { joinReplySchema, type Progress, runTokenHeader, timeReplySchema } from "../../schema/run.ts";
import { systemClock } from "./clock.ts";
import { log } from "./log.ts";

/** The conductor refused or could not be reached for as long as it makes sense to try. */
export class ConductorError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConductorError";
  }
}

export interface ConductorPlace {
  readonly url: string;
  readonly run: string;
  readonly token: string;
  readonly worker: number;
}

export interface ClockOffset {
  /** This machine's clock minus the conductor's. */
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

const exchanges = 12;
const answerLimitMs = 30_000;
const retryPauseMs = 300;
/** The conductor's volume is full: asking again within a run does not make it emptier. */
const insufficientStorage = 507;

type Options = Pick<Dispatcher.RequestOptions, "method"> & {
  /** Made anew for each attempt. */
  readonly body?: () => string | NodeJS.ReadableStream;
  readonly headers?: Readonly<Record<string, string>>;
};

interface Reply {
  readonly status: number;
  readonly body: string;
}

/** One worker's side of the conductor's HTTP interface (schema/run.ts). */
export class ConductorClient {
  readonly #place: ConductorPlace;
  readonly #agent = new Agent({ connections: 4, headersTimeout: answerLimitMs, bodyTimeout: answerLimitMs });

  constructor(place: ConductorPlace) {
    this.#place = place;
  }

  /**
   * Waits at the barrier until every worker is there.
   *
   * @returns the shared start instant, ms on the conductor's clock
   * @throws ConductorError when the run is refused, over, or the conductor stays away for `limitMs`
   */
  async join(
    who: { readonly pod: string; readonly node: string },
    limitMs: number,
    signal: AbortSignal,
  ): Promise<number> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      const reply = await this.#patiently("join", endMs - performance.now(), signal, {
        method: "POST",
        body: () => JSON.stringify(who),
        headers: { "content-type": "application/json" },
      });
      if (reply.status === 200) {
        return joinReplySchema.parse(JSON.parse(reply.body)).startAtMs;
      }
      if (performance.now() >= endMs) {
        throw new ConductorError("join: the other workers did not come in time");
      }
    }
  }

  /** The offset between the two clocks, from the exchange with the shortest round trip of twelve. */
  async clockOffset(signal: AbortSignal): Promise<ClockOffset> {
    let best: ClockOffset | undefined;
    for (let exchange = 0; exchange < exchanges; exchange += 1) {
      const reading = await this.#exchangeTime(signal);
      if (best === undefined || reading.roundTripMs < best.roundTripMs) {
        best = reading;
      }
    }
    if (best === undefined) {
      throw new ConductorError("the clocks were never compared");
    }
    return best;
  }

  /** How long the conductor takes to tell the time, its own share left out. */
  async roundTripMs(signal: AbortSignal): Promise<number> {
    return (await this.#exchangeTime(signal)).roundTripMs;
  }

  /** One exchange of four time stamps, as NTP's (RFC 5905, section 8). */
  async #exchangeTime(signal: AbortSignal): Promise<ClockOffset> {
    const sentMs = systemClock.nowUs() / 1000;
    const answer = await request(new URL("/v1/time", this.#place.url), { dispatcher: this.#agent, signal });
    const body = await answer.body.json();
    const arrivedMs = systemClock.nowUs() / 1000;
    const { receivedAtMs, sentAtMs } = timeReplySchema.parse(body);
    return {
      roundTripMs: Math.max(0, arrivedMs - sentMs - (sentAtMs - receivedAtMs)),
      offsetMs: (sentMs + arrivedMs - receivedAtMs - sentAtMs) / 2,
    };
  }

  /** Reports progress once; a report that does not arrive is logged and left at that, the next one follows soon. */
  async progress(progress: Progress): Promise<void> {
    try {
      const reply = await this.#once("progress", AbortSignal.timeout(2_000), {
        method: "POST",
        body: () => JSON.stringify(progress),
        headers: { "content-type": "application/json" },
      });
      if (reply.status >= 300) {
        log("warn", "progress was refused", { status: reply.status, body: reply.body.slice(0, 200) });
      }
    } catch (error) {
      log("warn", "progress could not be reported", { error: messageOf(error) });
    }
  }

  /** Delivers a file; it is on the conductor's volume, checked, when this returns. */
  async deliver(name: string, file: string, limitMs: number): Promise<void> {
    const hash = createHash("sha256");
    for await (const part of createReadStream(file)) {
      hash.update(part);
    }
    const { size } = await stat(file);
    await this.#patiently(`files/${name}`, limitMs, undefined, {
      method: "PUT",
      body: () => createReadStream(file),
      headers: { "x-orrery-sha256": hash.digest("hex"), "content-length": String(size) },
    });
  }

  async done(limitMs: number): Promise<void> {
    await this.#patiently("done", limitMs, undefined, { method: "POST" });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** Repeats while the conductor is away or answers 5xx, a full volume excepted; any other refusal ends it. */
  async #patiently(what: string, limitMs: number, signal: AbortSignal | undefined, options: Options): Promise<Reply> {
    const endMs = performance.now() + limitMs;
    for (let attempt = 1; ; attempt += 1) {
      let problem: unknown;
      try {
        const limit = AbortSignal.timeout(answerLimitMs);
        const reply = await this.#once(what, signal === undefined ? limit : AbortSignal.any([limit, signal]), options);
        if (reply.status < 300) {
          return reply;
        }
        if (reply.status < 500 || reply.status === insufficientStorage) {
          throw new ConductorError(`${what}: the conductor answers ${reply.status}: ${reply.body.slice(0, 300)}`);
        }
        problem = new Error(`it answers ${reply.status}: ${reply.body.slice(0, 300)}`);
      } catch (error) {
        if (error instanceof ConductorError) {
          throw error;
        }
        problem = error;
      }
      if (performance.now() >= endMs || signal?.aborted === true) {
        throw new ConductorError(
          `${what}: the conductor at ${this.#place.url} could not be reached in ${attempt} attempts over ${Math.round(limitMs / 1000)} s: ${messageOf(problem)}`,
          { cause: problem },
        );
      }
      log("warn", "the conductor did not take a request; trying again", { what, attempt, error: messageOf(problem) });
      await sleep(retryPauseMs);
    }
  }

  async #once(what: string, signal: AbortSignal, { method, body, headers }: Options): Promise<Reply> {
    const { url, run, token, worker } = this.#place;
    const answer = await request(new URL(`/v1/runs/${run}/workers/${worker}/${what}`, url), {
      method,
      signal,
      dispatcher: this.#agent,
      headers: { ...headers, [runTokenHeader]: token },
      ...(body === undefined ? {} : { body: body() as string }),
    });
    return { status: answer.statusCode, body: await answer.body.text() };
  }
}
