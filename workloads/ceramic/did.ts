import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign } from "node:crypto";
import { base58btc } from "multiformats/bases/base58";

/** A signature over a payload in the general form of RFC 7515, as Ceramic has it; parts are base64url. */
export interface Jws {
  readonly payload: string;
  readonly signatures: readonly [{ readonly protected: string; readonly signature: string }];
}

/** Head of an Ed25519 private key in PKCS #8 (RFC 8410), before its 32 bytes. */
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");
/** Multicodec of an Ed25519 public key, as did:key has it. */
const ed25519Codec = Uint8Array.of(0xed, 0x01);

/** Someone who signs with an Ed25519 key: a `did:key`. */
export class Signer {
  readonly did: string;
  readonly #key: KeyObject;
  readonly #header: string;

  /** @param seed The private key, 32 bytes. */
  constructor(seed: Uint8Array) {
    this.#key = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: "der", type: "pkcs8" });
    const spki = createPublicKey(this.#key).export({ format: "der", type: "spki" });
    const fingerprint = base58btc.encode(Buffer.concat([ed25519Codec, spki.subarray(-32)]));
    this.did = `did:key:${fingerprint}`;
    this.#header = base64url(JSON.stringify({ alg: "EdDSA", kid: `${this.did}#${fingerprint}` }));
  }

  /** Signs a payload; the same payload always gets the same signature. */
  jws(payload: string | Uint8Array): Jws {
    const text = base64url(payload);
    const signature = sign(null, Buffer.from(`${this.#header}.${text}`), this.#key);
    return { payload: text, signatures: [{ protected: this.#header, signature: base64url(signature) }] };
  }

  /** The same in compact form, for headers. */
  compactJws(payload: object): string {
    const { payload: text, signatures } = this.jws(JSON.stringify(payload));
    return `${signatures[0].protected}.${text}.${signatures[0].signature}`;
  }
}

/** A key that hangs on a secret and a name (HKDF, RFC 5869, with SHA-256); 32 bytes. */
export function derivedSeed(secret: Uint8Array, name: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), name, 32));
}

const base64url = (value: string | Uint8Array): string => Buffer.from(value).toString("base64url");
