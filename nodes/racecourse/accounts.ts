import { hkdfSync } from "node:crypto";
import { SigningKey, Wallet } from "ethers";

/** The accounts this program signs with. Private keys never leave it. */
export interface Accounts {
  /** Deploys the contract and does nothing else, so that the contract's address follows from the key. */
  readonly deployer: Wallet;
  readonly players: readonly Wallet[];
}

/**
 * Derives the accounts from a key file's text as keys of a group are derived everywhere in the project: HKDF-SHA256
 * (RFC 5869), one label per account; number 0 deploys, the others play. Every replica that holds the same key has the
 * same accounts, and whoever makes the chain can give them a balance.
 *
 * @throws Error when the text is not 32 bytes in hex; the text is not repeated
 */
export function accountsFrom(keyText: string, players: number): Accounts {
  const hex = keyText.trim();
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new Error("the key file does not hold 32 bytes in lower-case hex");
  const account = (number: number): Wallet => {
    const info = `racecourse/${number}/secp256k1`;
    return new Wallet(new SigningKey(Buffer.from(hkdfSync("sha256", Buffer.from(hex, "hex"), "orrery/v1", info, 32))));
  };
  return { deployer: account(0), players: Array.from({ length: players }, (_, index) => account(index + 1)) };
}
