import { base36 } from "multiformats/bases/base36";
import { CID } from "multiformats/cid";

/** Multicodec of a StreamID (CIP-59). */
const streamIdCodec = 0xce;

/**
 * The CID of a stream's first event, from its StreamID: multibase(codec, type, CID).
 *
 * @throws Error when it is no StreamID
 */
export function genesisOf(streamId: string): CID {
  const bytes = base36.decode(streamId);
  const [codec, afterCodec] = varint(bytes, 0);
  if (codec !== streamIdCodec) throw new Error(`${streamId} is no StreamID`);
  const [, afterType] = varint(bytes, afterCodec);
  return CID.decode(bytes.subarray(afterType));
}

/** Unsigned LEB128 at a place: the number, and the place after it. */
function varint(bytes: Uint8Array, start: number): [number, number] {
  let value = 0;
  for (let at = start, shift = 0; at < bytes.length && shift <= 28; at++, shift += 7) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at + 1];
  }
  throw new Error("a number in the StreamID does not end");
}
