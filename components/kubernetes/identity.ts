import { createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";

/**
 * Keys derived from the stack's one root secret (HKDF-SHA256, RFC 5869), so that adding a member never touches
 * another's key and nothing per node is stored. Every key is 32 bytes, written in hex.
 */
const salt = "orrery/v1";

function derive(keyHex: string, info: string): Buffer {
  return Buffer.from(hkdfSync("sha256", Buffer.from(keyHex, "hex"), salt, info, 32));
}

/** Key of a role group, from the root secret; mounted into the group's pods, which derive their own from it. */
export function groupKey(rootSecret: string, system: string, group: string): string {
  return derive(rootSecret, `${system}/${group}`).toString("hex");
}

/**
 * Private key of a group's member for a purpose, in hex. What is derived in the program from it is public: the private
 * key itself is derived again in the member's pod.
 */
export function memberKey(groupKeyHex: string, group: string, ordinal: number, purpose: string): string {
  return derive(groupKeyHex, `${group}/${ordinal}/${purpose}`).toString("hex");
}

/** Public X25519 key (RFC 7748) of a group's member, in hex; the private half is derived in its pod. */
export function memberPublicKey(groupKeyHex: string, group: string, ordinal: number): string {
  const seed = Buffer.from(memberKey(groupKeyHex, group, ordinal, "x25519"), "hex");
  const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex"); // RFC 8410, section 7
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: "der", type: "pkcs8" });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return spki.subarray(-32).toString("hex");
}

/** Key the conductor checks run tokens with. */
export function conductorKey(rootSecret: string): string {
  return derive(rootSecret, "conductor").toString("hex");
}

/** Token of one run, from the conductor's key; whoever holds it may deliver and read that run's results. */
export function runToken(conductorKeyHex: string, run: string): string {
  return derive(conductorKeyHex, `run-token/${run}`).toString("hex");
}

/** True for what `orrery init` makes: 32 random bytes in hex. */
export function isRootSecret(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
