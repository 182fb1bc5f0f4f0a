import { randomBytes } from "node:crypto";
import nacl from "tweetnacl";
import { z } from "zod";
import { fromBase64, type KeyPair, toBase64 } from "./keys.ts";
import { Problem } from "./problem.ts";

/** How old, or how far in the future, a message may be by the receiver's clock. */
export const freshMs = 120_000;

/**
 * A message between two members: encrypted by NaCl's box with the sender's private and the receiver's public key, so
 * that it opens only for the receiver, and only if it was made by the sender (or by the receiver itself).
 */
export const envelopeSchema = z.strictObject({
  /** Public keys, base64. */
  from: z.base64(),
  to: z.base64(),
  nonce: z.base64(),
  box: z.base64(),
});
export type Envelope = z.output<typeof envelopeSchema>;

const contentSchema = z.strictObject({ kind: z.string(), sentAtMs: z.number(), body: z.unknown() });

/** Closes a message for one receiver. `kind` keeps an answer from being taken for a request. */
export function closeEnvelope(kind: string, body: unknown, own: KeyPair, to: string): Envelope {
  const nonce = new Uint8Array(randomBytes(nacl.box.nonceLength));
  const content = Buffer.from(JSON.stringify({ kind, sentAtMs: Date.now(), body }));
  const box = nacl.box(new Uint8Array(content), nonce, fromBase64(to), own.secretKey);
  return { from: toBase64(own.publicKey), to, nonce: toBase64(nonce), box: toBase64(box) };
}

/**
 * Opens a message.
 *
 * @returns Its body, unchecked.
 * @throws Problem 401 when it is not for this key, not by its sender, not of this kind, or too old.
 */
export function openEnvelope(kind: string, envelope: Envelope, own: KeyPair): unknown {
  const [from, nonce] = [fromBase64(envelope.from), fromBase64(envelope.nonce)];
  if (envelope.to !== toBase64(own.publicKey)) {
    throw new Problem(
      401,
      `the message is for the key ${envelope.to}, not for this member's ${toBase64(own.publicKey)}`,
    );
  }
  const wellFormed = from.length === nacl.box.publicKeyLength && nonce.length === nacl.box.nonceLength;
  const opened = wellFormed ? nacl.box.open(fromBase64(envelope.box), nonce, from, own.secretKey) : null;
  if (opened === null) {
    throw new Problem(401, `the message is not by the holder of the key ${envelope.from}`);
  }
  const content = contentSchema.parse(JSON.parse(Buffer.from(opened).toString()));
  if (content.kind !== kind) {
    throw new Problem(401, `the message is a ${content.kind}, where a ${kind} is expected`);
  }
  const ageMs = Date.now() - content.sentAtMs;
  if (Math.abs(ageMs) > freshMs) {
    throw new Problem(401, `the message is ${Math.round(ageMs / 1000)} s old: it is a replay, or the clocks differ`);
  }
  return content.body;
}

/** Remembers messages as long as they could be replayed. */
export class ReplayGuard {
  /** Nonce and sender, with when it came; a Map keeps the order. */
  readonly #seen = new Map<string, number>();

  /** @throws Problem 409 when the message came before. */
  admit({ from, nonce }: Envelope): void {
    const nowMs = Date.now();
    for (const [message, atMs] of this.#seen) {
      if (nowMs - atMs <= 2 * freshMs) break;
      this.#seen.delete(message);
    }
    const message = `${from} ${nonce}`;
    if (this.#seen.has(message)) {
      throw new Problem(409, "the message came before: it is a replay");
    }
    this.#seen.set(message, nowMs);
  }
}
