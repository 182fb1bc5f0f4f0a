import { closeEnvelope, type Envelope, openEnvelope, ReplayGuard } from "./envelope.ts";
import { fromBase64, type KeyPair, toBase64 } from "./keys.ts";
import { messageOf } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { hashOf, open, type Sealed, seal, sealAgain, sealedSchema } from "./payload.ts";
import type { Peer, Peers } from "./peers.ts";
import { Problem } from "./problem.ts";
import type { PayloadStore } from "./store.ts";

/** A payload this member may read. */
export interface Opened {
  readonly payload: Uint8Array;
  /** Public keys, base64. */
  readonly sender: string;
  /** Those this member knows of: all of them when it is the sender, else itself. */
  readonly parties: readonly string[];
}

/** What a private-transaction manager does, whatever API asks for it. Keys and hashes are base64. */
export class Manager {
  readonly #own: KeyPair;
  readonly #store: PayloadStore;
  readonly #peers: Peers;
  readonly #metrics: Metrics;
  readonly #replays = new ReplayGuard();

  constructor(own: KeyPair, store: PayloadStore, peers: Peers, metrics: Metrics) {
    this.#own = own;
    this.#store = store;
    this.#peers = peers;
    this.#metrics = metrics;
  }

  get ownKey(): string {
    return toBase64(this.#own.publicKey);
  }

  get memberKeys(): readonly string[] {
    return this.#peers.keys;
  }

  /**
   * Gives a payload to its parties; done means that this member and every party have it on disk.
   *
   * @param from The sender, if named: this member's own key.
   * @returns The hash that goes on the chain.
   */
  async send(payload: Uint8Array, from: string | undefined, to: readonly string[]): Promise<string> {
    this.#assertOwn(from);
    this.#assertPayload(payload);
    const peers = await this.#find(to);
    return await this.#distribute(seal(payload, this.#own, to), peers);
  }

  /** Keeps a payload here only, until {@link sendSigned} names its parties. */
  async storeRaw(payload: Uint8Array, from: string | undefined): Promise<string> {
    this.#assertOwn(from);
    this.#assertPayload(payload);
    return await this.#store.keep(seal(payload, this.#own, []));
  }

  /** Gives a payload of {@link storeRaw} to its parties, as {@link send} does. */
  async sendSigned(hash: string, to: readonly string[]): Promise<string> {
    const raw = await this.#store.find(hash);
    if (raw === undefined || raw.sender !== this.ownKey) {
      throw new Problem(404, `no payload ${hash} was stored here; store it with /storeraw first`);
    }
    const peers = await this.#find(to);
    return await this.#distribute(sealAgain(raw, this.#own, to), peers);
  }

  /** The payload of a hash, undefined when this member is no party to it. */
  async receive(hash: string): Promise<Opened | undefined> {
    const sealed = await this.#store.find(hash);
    if (sealed === undefined) {
      return undefined;
    }
    return {
      payload: open(sealed, this.#own),
      sender: sealed.sender,
      parties: sealed.boxes.map(({ party }) => party),
    };
  }

  async forget(hash: string): Promise<boolean> {
    return await this.#store.forget(hash);
  }

  /**
   * Takes a payload from another member.
   *
   * @returns The receipt, once the payload is on disk.
   */
  async take(envelope: Envelope): Promise<Envelope> {
    try {
      const sender = await this.#peers.find(envelope.from, 401);
      const sealed = sealedSchema.parse(openEnvelope("push", envelope, this.#own));
      this.#replays.admit(envelope);
      await this.#keepOf(sender.publicKey, sealed);
      this.#metrics.count("received", "stored");
      const receipt = { stored: hashOf(sealed), nonce: envelope.nonce };
      return closeEnvelope("stored", receipt, this.#own, sender.publicKey);
    } catch (error) {
      this.#metrics.count("received", "refused");
      throw error;
    }
  }

  /** Keeps what opens for this member only: a payload that is kept is one that can be read. */
  async #keepOf(sender: string, sealed: Sealed): Promise<void> {
    if (sealed.sender !== sender) {
      throw new Problem(401, `member ${sender} sent a payload of ${sealed.sender}`);
    }
    try {
      open(sealed, this.#own);
    } catch (error) {
      throw new Problem(400, `the payload cannot be opened: ${messageOf(error)}`, { cause: error });
    }
    await this.#store.keep(sealed);
  }

  async #distribute(sealed: Sealed, peers: readonly Peer[]): Promise<string> {
    const [hash] = await Promise.all([
      this.#store.keep(sealed),
      ...peers.map(async (peer) => await this.#peers.push(sealed, peer)),
    ]);
    return hash;
  }

  /**
   * The members with these keys, this one left out.
   *
   * @throws Problem 400 when a key is no key, or no member's.
   */
  async #find(keys: readonly string[]): Promise<Peer[]> {
    const malformed = keys.find((key) => fromBase64(key).length !== 32);
    if (malformed !== undefined) {
      throw new Problem(400, `"${malformed}" is no public key: 32 bytes in base64`);
    }
    const others = [...new Set(keys)].filter((key) => key !== this.ownKey);
    return await Promise.all(others.map(async (key) => await this.#peers.find(key, 400)));
  }

  #assertOwn(from: string | undefined): void {
    if (from !== undefined && from !== "" && from !== this.ownKey) {
      throw new Problem(400, `payloads can be sent from this member's key only, ${this.ownKey}; not from ${from}`);
    }
  }

  #assertPayload(payload: Uint8Array): void {
    if (payload.length === 0) {
      throw new Problem(400, "the payload is empty");
    }
  }
}
