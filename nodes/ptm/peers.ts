import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { closeEnvelope, envelopeSchema, openEnvelope } from "./envelope.ts";
import { type KeyPair, toBase64 } from "./keys.ts";
import { messageOf } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { forParty, hashOf, type Sealed } from "./payload.ts";
import { Problem } from "./problem.ts";

const peersSchema = z.strictObject({
  peers: z
    .array(
      z.strictObject({
        ordinal: z.int().min(0),
        /** Base URL, e.g. `http://node-0.nodes:9000`. */
        url: z.url({ protocol: /^http$/ }),
        /** X25519, in hex. */
        publicKey: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .min(1),
});

/** A member as this one knows it; `publicKey` in base64. */
export interface Peer {
  readonly ordinal: number;
  readonly url: string;
  readonly publicKey: string;
}

const storedSchema = z.strictObject({ stored: z.string(), nonce: z.string() });

const firstPauseMs = 50;
const longestPauseMs = 1_000;
/** One attempt takes no more than this, so that a lost packet leaves time for another. */
const attemptLimitMs = 2_000;

/** Reads who the members are. */
export async function readPeers(file: string): Promise<Peer[]> {
  const { peers } = peersSchema.parse(JSON.parse(await readFile(file, "utf8")));
  return peers.map(({ ordinal, url, publicKey }) => ({
    ordinal,
    url,
    publicKey: toBase64(Buffer.from(publicKey, "hex")),
  }));
}

/** The other members, and how they are given payloads. The file is read again when an unknown key is asked for. */
export class Peers {
  readonly #file: string;
  readonly #own: KeyPair;
  readonly #limitMs: number;
  readonly #metrics: Metrics;
  #known: readonly Peer[];

  /** @param limitMs Longest time for giving one payload to one member, all attempts together. */
  constructor(file: string, known: readonly Peer[], own: KeyPair, limitMs: number, metrics: Metrics) {
    this.#file = file;
    this.#known = known;
    this.#own = own;
    this.#limitMs = limitMs;
    this.#metrics = metrics;
  }

  /** Public keys of all members, this one's included. */
  get keys(): string[] {
    return this.#known.map(({ publicKey }) => publicKey);
  }

  /** @throws Problem `status` when no member has the key. */
  async find(publicKey: string, status: 400 | 401): Promise<Peer> {
    const find = () => this.#known.find((peer) => peer.publicKey === publicKey);
    const known = find();
    if (known !== undefined) {
      return known;
    }
    this.#known = await readPeers(this.#file); // members may have joined
    const joined = find();
    if (joined === undefined) {
      throw new Problem(status, `no member has the public key ${publicKey}; known keys: ${this.keys.join(", ")}`);
    }
    return joined;
  }

  /**
   * Gives a member its copy of a payload, and returns when the member has it on disk.
   *
   * @throws Problem 502 when it refuses, 503 when it cannot be reached within the limit.
   */
  async push(sealed: Sealed, peer: Peer): Promise<void> {
    const copy = forParty(sealed, peer.publicKey);
    const endMs = performance.now() + this.#limitMs;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      try {
        await this.#attempt(copy, peer, Math.min(attemptLimitMs, endMs - performance.now()));
        this.#metrics.count("push", "stored");
        return;
      } catch (error) {
        const refused = error instanceof Problem && error.status === 502;
        this.#metrics.count("push", refused ? "refused" : "unreachable");
        if (refused) {
          throw error;
        }
        if (performance.now() + pauseMs >= endMs) {
          const what = `member ${peer.ordinal} at ${peer.url} did not take the payload within ${this.#limitMs} ms`;
          throw new Problem(503, `${what}: ${messageOf(error)}`, { cause: error });
        }
        await sleep(pauseMs);
      }
    }
  }

  async #attempt(copy: Sealed, peer: Peer, limitMs: number): Promise<void> {
    const envelope = closeEnvelope("push", copy, this.#own, peer.publicKey);
    const answer = await fetch(new URL("/v1/push", peer.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(envelope),
      signal: AbortSignal.timeout(Math.max(1, Math.ceil(limitMs))),
    });
    const text = await answer.text();
    if (answer.status >= 400 && answer.status < 500) {
      throw new Problem(502, `member ${peer.ordinal} at ${peer.url} refused the payload: ${text.slice(0, 300)}`);
    }
    if (answer.status !== 200) {
      throw new Error(`it answered ${answer.status} ${text.slice(0, 300)}`);
    }
    const reply = envelopeSchema.parse(JSON.parse(text));
    if (reply.from !== peer.publicKey) {
      throw new Error(`the answer is by the key ${reply.from}, not by ${peer.publicKey}`);
    }
    const { stored, nonce } = storedSchema.parse(openEnvelope("stored", reply, this.#own));
    if (stored !== hashOf(copy) || nonce !== envelope.nonce) {
      throw new Error("the answer belongs to another request");
    }
  }
}
