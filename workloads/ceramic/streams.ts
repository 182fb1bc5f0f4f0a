import { createHash } from "node:crypto";
import * as dagCbor from "@ipld/dag-cbor";
import { base36 } from "multiformats/bases/base36";
import { CID } from "multiformats/cid";
import * as digest from "multiformats/hashes/digest";
import type { Jws, Signer } from "./did.ts";

/*
 * Streams of Ceramic as @ceramicnetwork/{streamid,common,stream-model,stream-model-instance} of js-ceramic 6 make them.
 * Made here rather than with those packages (173 with what they depend on, 91 MB) because the driver sends nothing else,
 * and because a commit's name has to be known before it is sent: its feed may tell it before its answer arrives.
 */

/** Type of a stream, as its id has it. */
export const streamTypes = { model: 2, document: 3 } as const;

/** Multicodecs: a stream's id, a signed block, SHA-256. */
const streamIdCodec = Uint8Array.of(0xce, 0x01);
const dagJoseCode = 0x85;
const sha256Code = 0x12;

/** Id of what all models are made by: type 4, and the text model-v1 itself for a hash. */
const metaModel = base36.decode("kh4q0ozorrgaq2mezktnrmdwleo1d");

/** A signed commit, and what it is known by. */
export interface Commit {
  readonly cid: CID;
  /** As the HTTP API takes it. */
  readonly container: { readonly jws: Jws & { readonly link: string }; readonly linkedBlock: string };
  /** Its blocks: the signature first, then what is signed. */
  readonly blocks: readonly { readonly cid: CID; readonly bytes: Uint8Array }[];
}

/** The first commit of a model: the same definition, signed by the same, is the same model. */
export function modelGenesis(signer: Signer, definition: object): Commit {
  return signedCommit(signer, {
    data: definition,
    header: { controllers: [signer.did], model: metaModel, sep: "model" },
  });
}

/**
 * The first commit of a document.
 *
 * @param unique 12 bytes that tell it from others of the same content.
 */
export function documentGenesis(signer: Signer, model: string, content: object, unique: Uint8Array): Commit {
  return signedCommit(signer, {
    data: content,
    header: { controllers: [signer.did], model: base36.decode(model), sep: "model", unique },
  });
}

/** A change to a document, as a JSON patch (RFC 6902) of what it is after the commit `prev`. */
export function documentChange(signer: Signer, genesis: CID, prev: CID, patch: readonly object[]): Commit {
  return signedCommit(signer, { data: patch, prev, id: genesis });
}

/** `k...`: what a stream is known by. */
export function streamId(type: number, genesis: CID): string {
  return base36.encode(Buffer.concat([streamIdCodec, Uint8Array.of(type), genesis.bytes]));
}

/** `k...`: what one state of a stream is known by, after that commit. */
export function commitId(type: number, genesis: CID, commit: CID): string {
  const last = commit.equals(genesis) ? Uint8Array.of(0) : commit.bytes;
  return base36.encode(Buffer.concat([streamIdCodec, Uint8Array.of(type), genesis.bytes, last]));
}

/** CID of a block that is encoded as dag-cbor. */
export const cborCid = (bytes: Uint8Array): CID => hashed(dagCbor.code, bytes);

function signedCommit(signer: Signer, payload: object): Commit {
  const linked = dagCbor.encode(payload);
  const link = cborCid(linked);
  const jws = signer.jws(link.bytes);
  const envelope = dagCbor.encode({
    payload: Buffer.from(jws.payload, "base64url"),
    signatures: jws.signatures.map(({ protected: head, signature }) => ({
      protected: Buffer.from(head, "base64url"),
      signature: Buffer.from(signature, "base64url"),
    })),
  });
  const cid = hashed(dagJoseCode, envelope);
  return {
    cid,
    container: {
      jws: { ...jws, link: link.toString() },
      linkedBlock: Buffer.from(linked).toString("base64").replace(/=+$/, ""),
    },
    blocks: [
      { cid, bytes: envelope },
      { cid: link, bytes: linked },
    ],
  };
}

function hashed(code: number, bytes: Uint8Array): CID {
  const hash = createHash("sha256").update(bytes).digest();
  return CID.createV1(code, digest.create(sha256Code, new Uint8Array(hash)));
}
