import * as dagCbor from "@ipld/dag-cbor";
import { CID } from "multiformats/cid";
import { sha256 } from "multiformats/hashes/sha2";

/** A block of IPLD data and its name. */
export interface Block {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}

/** The dag-cbor block of a value. */
export async function blockOf(value: unknown): Promise<Block> {
  const bytes = dagCbor.encode(value);
  return { cid: CID.createV1(dagCbor.code, await sha256.digest(bytes)), bytes };
}

/** A CAR file, version 1: header with the root, then every block after its length (ipld.io/specs/transport/car/carv1). */
export function carOf(root: CID, blocks: readonly Block[]): Uint8Array {
  const sections = [dagCbor.encode({ version: 1, roots: [root] })];
  for (const { cid, bytes } of blocks) sections.push(Buffer.concat([cid.bytes, bytes]));
  return Buffer.concat(sections.flatMap((section) => [length(section.length), section]));
}

function length(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}
