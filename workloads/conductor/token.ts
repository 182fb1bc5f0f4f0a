import { hkdfSync, timingSafeEqual } from "node:crypto";

const keyPattern = /^[0-9a-f]{64}$/;

/** @throws Error when the text is no key: 32 bytes in hex. */
export function parseRunKey(text: string): Buffer {
  const hex = text.trim();
  if (!keyPattern.test(hex)) {
    throw new Error("the run key is not 64 hex digits (32 bytes)");
  }
  return Buffer.from(hex, "hex");
}

/** Token of one run: HKDF-SHA256 of the run key, salt `orrery/v1`, info `run-token/<run>`, 32 bytes in hex. */
export function runTokenOf(runKey: Buffer, run: string): string {
  return Buffer.from(hkdfSync("sha256", runKey, "orrery/v1", `run-token/${run}`, 32)).toString("hex");
}

/** Compares in a time that does not depend on where the two differ. */
export function isRunToken(runKey: Buffer, run: string, given: string | undefined): boolean {
  const expected = Buffer.from(runTokenOf(runKey, run));
  const found = Buffer.from(given ?? "");
  return found.length === expected.length && timingSafeEqual(found, expected);
}
