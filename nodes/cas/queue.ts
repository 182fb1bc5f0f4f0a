import { type FileHandle, mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const requestRecord = z.strictObject({
  kind: z.literal("request"),
  /** CID of the stream's tip that is to be anchored. */
  cid: z.string(),
  streamId: z.string(),
  atMs: z.number(),
});
const anchoredRecord = z.strictObject({
  kind: z.literal("anchored"),
  cid: z.string(),
  atMs: z.number(),
  anchorCid: z.string(),
  /** CAR with the anchor and its proof, base64. */
  witness: z.string(),
});
const replacedRecord = z.strictObject({ kind: z.literal("replaced"), cid: z.string(), atMs: z.number() });
const record = z.discriminatedUnion("kind", [requestRecord, anchoredRecord, replacedRecord]);
type Record = z.output<typeof record>;

/** A request and what has become of it. */
export interface AnchorRequest {
  readonly cid: string;
  readonly streamId: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly state:
    | { readonly status: "PENDING" | "REPLACED" }
    | { readonly status: "COMPLETED"; readonly anchorCid: string; readonly witness: string };
}

/**
 * The requests, in a file that only grows: a line for each request and for each end of one. What `add` and `finish` were
 * awaited for is on the disk; a line that a crash cut off is dropped when the file is opened again.
 */
export class Queue {
  readonly #file: FileHandle;
  readonly #requests = new Map<string, AnchorRequest>();
  #writing: Promise<void> = Promise.resolve();

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async open(folder: string): Promise<Queue> {
    await mkdir(folder, { recursive: true });
    const path = join(folder, "requests.jsonl");
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    const file = await open(path, "a");
    await file.truncate(Buffer.byteLength(whole));
    const queue = new Queue(file);
    for (const line of whole.split("\n")) if (line !== "") queue.#apply(record.parse(JSON.parse(line)));
    return queue;
  }

  get(cid: string): AnchorRequest | undefined {
    return this.#requests.get(cid);
  }

  /** Requests that wait, oldest first. */
  pending(): AnchorRequest[] {
    return [...this.#requests.values()].filter(({ state }) => state.status === "PENDING");
  }

  /** Takes a request, or answers the one that is there for the same tip. */
  async add(streamId: string, cid: string): Promise<AnchorRequest> {
    const known = this.#requests.get(cid);
    if (known === undefined) await this.#write([{ kind: "request", cid, streamId, atMs: Date.now() }]);
    const request = known ?? this.#requests.get(cid);
    if (request === undefined) throw new Error(`request ${cid} was not kept`);
    return request;
  }

  /** Notes how requests ended. */
  async finish(ends: readonly z.output<typeof anchoredRecord | typeof replacedRecord>[]): Promise<void> {
    await this.#write(ends);
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => undefined); // whoever wrote was told
    await this.#file.close();
  }

  /** One write after the other; what is on the disk is then known here. */
  async #write(records: readonly Record[]): Promise<void> {
    const write = this.#writing.then(async () => {
      await this.#file.appendFile(records.map((one) => `${JSON.stringify(one)}\n`).join(""));
      await this.#file.sync();
      for (const one of records) this.#apply(one);
    });
    this.#writing = write.catch(() => undefined);
    await write;
  }

  #apply(one: Record): void {
    const known = this.#requests.get(one.cid);
    if (one.kind === "request") {
      if (known !== undefined) return; // asked for twice at one moment
      const { cid, streamId, atMs } = one;
      this.#requests.set(cid, { cid, streamId, createdAtMs: atMs, updatedAtMs: atMs, state: { status: "PENDING" } });
      return;
    }
    if (known === undefined) return;
    const state =
      one.kind === "replaced"
        ? { status: "REPLACED" as const }
        : { status: "COMPLETED" as const, anchorCid: one.anchorCid, witness: one.witness };
    this.#requests.set(one.cid, { ...known, updatedAtMs: one.atMs, state });
  }
}
