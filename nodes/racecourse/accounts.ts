import { hkdfSync } from "node:crypto";
import { SigningKey, Wallet } from "ethers";

/** The accounts this program signs with. Private keys never leave it. */
export interface Accounts {
  /** Deploys the contract and does nothing else, so that the contract's address follows from the key. */
  readonly deployer: Wallet;
  readonly players: readonly Wallet[];
}

/**
 * Derives the accounts from a key file's text: HKDF-SHA256 (RFC 5869) with the project's salt, one label per account.
 * Every replica that holds the same key has the same accounts.
 *
 * @throws Error when the text is not 32 bytes in hex; the text is not repeated
 */
export function accountsFrom(keyText: string, players: number): Accounts {
  const hex = keyText.trim();
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new Error("the key file does not hold 32 bytes in lower-case hex");
  const account = (label: string): Wallet => {
    const key = Buffer.from(hkdfSync("sha256", Buffer.from(hex, "hex"), "orrery/v1", `racecourse/${label}`, 32));
    return new Wallet(new SigningKey(key));
  };
  return {
    deployer: account("deployer"),
    players: Array.from({ length: players }, (_, index) => account(`player/${index}`)),
  };
}
