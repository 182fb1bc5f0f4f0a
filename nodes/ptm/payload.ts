import { createHash, randomBytes } from "node:crypto";
import nacl from "tweetnacl";
import { z } from "zod";
import { fromBase64, type KeyPair, toBase64 } from "./keys.ts";

const base64 = (bytes?: number) =>
  z.base64().refine((text) => bytes === undefined || fromBase64(text).length === bytes, `must be ${bytes} bytes`);

/** Bytes of the hash that stands for a payload on the chain. */
export const hashBytes = 64;

/**
 * One payload as it is stored and sent. The payload is encrypted once with a key of its own, and that key once for each
 * party; all texts are base64. Who has only a box for itself does not learn who the other parties are.
 */
export const sealedSchema = z.strictObject({
  version: z.literal(1),
  /** Public key of the member that was given the payload. */
  sender: base64(nacl.box.publicKeyLength),
  cipherText: base64(),
  nonce: base64(nacl.secretbox.nonceLength),
  boxes: z
    .array(
      z.strictObject({
        party: base64(nacl.box.publicKeyLength),
        nonce: base64(nacl.box.nonceLength),
        box: base64(nacl.secretbox.keyLength + nacl.box.overheadLength),
      }),
    )
    .min(1),
});

export type Sealed = z.output<typeof sealedSchema>;

/** What stands for the payload on the chain: the SHA3-512 of its encrypted form, 64 bytes in base64. */
export function hashOf({ cipherText }: Pick<Sealed, "cipherText">): string {
  return createHash("sha3-512").update(fromBase64(cipherText)).digest("base64");
}

/** Encrypts a payload for some parties, of which the sender is always one. Keys in base64. */
export function seal(payload: Uint8Array, own: KeyPair, parties: readonly string[]): Sealed {
  const key = new Uint8Array(randomBytes(nacl.secretbox.keyLength));
  const nonce = new Uint8Array(randomBytes(nacl.secretbox.nonceLength));
  return {
    version: 1,
    sender: toBase64(own.publicKey),
    cipherText: toBase64(nacl.secretbox(payload, nonce, key)),
    nonce: toBase64(nonce),
    boxes: boxesFor(key, own, parties),
  };
}

/** The same payload for further parties; only its sender can do that. */
export function sealAgain(sealed: Sealed, own: KeyPair, parties: readonly string[]): Sealed {
  return { ...sealed, boxes: boxesFor(keyOf(sealed, own), own, parties) };
}

function boxesFor(key: Uint8Array, own: KeyPair, parties: readonly string[]): Sealed["boxes"] {
  return [...new Set([toBase64(own.publicKey), ...parties])].map((party) => {
    const nonce = new Uint8Array(randomBytes(nacl.box.nonceLength));
    return { party, nonce: toBase64(nonce), box: toBase64(nacl.box(key, nonce, fromBase64(party), own.secretKey)) };
  });
}

/** What one party is sent: nothing of the others. */
export function forParty(sealed: Sealed, party: string): Sealed {
  return { ...sealed, boxes: sealed.boxes.filter((box) => box.party === party) };
}

/**
 * Decrypts a payload.
 *
 * @throws Error when it is not for this key or was altered.
 */
export function open(sealed: Sealed, own: KeyPair): Uint8Array {
  const payload = nacl.secretbox.open(fromBase64(sealed.cipherText), fromBase64(sealed.nonce), keyOf(sealed, own));
  if (payload === null) {
    throw new Error("the encrypted payload was altered");
  }
  return payload;
}

function keyOf({ boxes, sender }: Sealed, own: KeyPair): Uint8Array {
  const ownKey = toBase64(own.publicKey);
  const found = boxes.find(({ party }) => party === ownKey);
  if (found === undefined) {
    throw new Error("the payload is not for this key");
  }
  const key = nacl.box.open(fromBase64(found.box), fromBase64(found.nonce), fromBase64(sender), own.secretKey);
  if (key === null) {
    throw new Error("the payload's key was altered, or boxed by another sender");
  }
  return key;
}
