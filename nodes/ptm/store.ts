import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "./log.ts";
import { hashBytes, hashOf, type Sealed, sealedSchema } from "./payload.ts";
import { Problem } from "./problem.ts";

/**
 * Payloads on disk, a file each, named after their hash. A file begins with the SHA-256 of the rest, is written beside
 * its place, flushed, renamed, and its folder flushed: what was kept once survives a crash, and is whole.
 */
export class PayloadStore {
  readonly #folder: string;
  #count: number;

  private constructor(folder: string, count: number) {
    this.#folder = folder;
    this.#count = count;
  }

  /** Opens the store in a folder, makes it if it is not there, and clears away what a crash left half written. */
  static async open(dataDir: string): Promise<PayloadStore> {
    const folder = join(dataDir, "payloads");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = await readdir(folder);
    const halfWritten = names.filter((name) => name.endsWith(".part"));
    await Promise.all(halfWritten.map((name) => rm(join(folder, name))));
    await flushFolder(dataDir);
    return new PayloadStore(folder, names.length - halfWritten.length);
  }

  /** Payloads kept. */
  get count(): number {
    return this.#count;
  }

  /** Keeps a payload under its hash, in place of what was there; done means that it is on disk. */
  async keep(sealed: Sealed): Promise<string> {
    const hash = hashOf(sealed);
    const place = this.#placeOf(hash);
    const known = (await this.#read(place)) !== undefined;
    const body = JSON.stringify(sealed);
    const part = `${place}.${randomUUID()}.part`;
    try {
      const file = await open(part, "wx", 0o600);
      try {
        await file.writeFile(`${digestOf(body)}\n${body}`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(part, place);
    } catch (error) {
      await rm(part, { force: true });
      throw new Problem(500, `the payload cannot be kept: ${messageOf(error)}`, { cause: error });
    }
    await flushFolder(this.#folder);
    this.#count += known ? 0 : 1;
    return hash;
  }

  /**
   * The payload of a hash, undefined when there is none.
   *
   * @throws Problem 500 when its file is damaged.
   */
  async find(hash: string): Promise<Sealed | undefined> {
    const place = this.#placeOf(hash);
    const text = await this.#read(place);
    if (text === undefined) {
      return undefined;
    }
    const split = text.indexOf("\n");
    const body = text.slice(split + 1);
    if (text.slice(0, split) !== digestOf(body)) {
      throw damaged(place, "its checksum does not match");
    }
    const sealed = sealedSchema.parse(JSON.parse(body));
    if (hashOf(sealed) !== hash) {
      throw damaged(place, "it holds another payload");
    }
    return sealed;
  }

  /** Forgets a payload; false when there was none. */
  async forget(hash: string): Promise<boolean> {
    try {
      await unlink(this.#placeOf(hash));
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    await flushFolder(this.#folder);
    this.#count -= 1;
    return true;
  }

  #placeOf(hash: string): string {
    const bytes = Buffer.from(hash, "base64");
    if (bytes.length !== hashBytes) {
      throw new Problem(400, `a payload is named by ${hashBytes} bytes in base64; these are ${bytes.length}`);
    }
    return join(this.#folder, bytes.toString("hex"));
  }

  async #read(place: string): Promise<string | undefined> {
    try {
      return await readFile(place, "utf8");
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");

const isMissing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT";

function damaged(place: string, why: string): Problem {
  return new Problem(
    500,
    `the payload file ${place} is damaged: ${why}. Restore it, or copy it from its sender's volume`,
  );
}

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
