import * as dagCbor from "@ipld/dag-cbor";
import { varint } from "multiformats";
import type { CID } from "multiformats/cid";

/** Blocks as a CAR file, version 1 (ipld.io/specs/transport/car/carv1), with the first as its root. */
export function carOf(blocks: readonly { readonly cid: CID; readonly bytes: Uint8Array }[]): Uint8Array {
  const header = dagCbor.encode({ roots: blocks.slice(0, 1).map(({ cid }) => cid), version: 1 });
  return Buffer.concat([section(header), ...blocks.map(({ cid, bytes }) => section(cid.bytes, bytes))]);
}

function section(...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([varint.encodeTo(length, new Uint8Array(varint.encodingLength(length))), ...parts]);
}
