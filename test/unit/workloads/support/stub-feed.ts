import type { ServerResponse } from "node:http";

interface Change {
  readonly index: number;
  readonly key: string;
  readonly atUs: number;
}

/** Numbers writes for all members of a stub network, and shows each at every member, at once or after a while. */
export class StubLog {
  readonly feeds: StubFeed[] = [];
  #index = 0;

  /** @returns the index of the write */
  write(key: string): number {
    this.#index += 1;
    for (const feed of this.feeds) {
      feed.showLater(this.#index, key);
    }
    return this.#index;
  }
}

/** `GET /feed` of one stub member. */
export class StubFeed {
  /** From a write until this member shows it; infinity: never. */
  delayMs = 0;
  /** Streams asked for so far, by their query. */
  readonly asked: string[] = [];
  readonly #streams = new Map<ServerResponse, string>();
  readonly #changes: Change[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  #applied = 0;

  showLater(index: number, key: string): void {
    if (this.delayMs === 0) {
      this.#show(index, key);
    } else if (Number.isFinite(this.delayMs)) {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#show(index, key);
      }, this.delayMs);
      this.#timers.add(timer);
    }
  }

  answer(query: URLSearchParams, response: ServerResponse): void {
    this.asked.push(query.toString());
    const prefix = query.get("prefix") ?? "";
    const after = query.get("after");
    const state = after === null ? this.#applied : Math.min(Number(after), this.#applied);
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.write(line({ state, applied: this.#applied, at: nowUs() }));
    for (const change of this.#changes) {
      if (change.index > state && change.key.startsWith(prefix)) {
        response.write(row(change));
      }
    }
    this.#streams.set(response, prefix);
    const alive = setInterval(() => response.write(line({ applied: this.#applied, at: nowUs() })), 1_000);
    response.on("close", () => {
      clearInterval(alive);
      this.#streams.delete(response);
    });
  }

  /** Ends every stream, as a reader that is too slow, or a member that stops, would see it. */
  end(code: string): void {
    for (const stream of this.#streams.keys()) {
      stream.end(line({ end: code, error: "said the test" }));
    }
  }

  stop(): void {
    for (const timer of this.#timers) {
      clearTimeout(timer);
    }
  }

  #show(index: number, key: string): void {
    const change = { index, key, atUs: nowUs() };
    this.#changes.push(change);
    this.#applied = Math.max(this.#applied, index);
    for (const [stream, prefix] of this.#streams) {
      if (key.startsWith(prefix)) {
        stream.write(row(change));
      }
    }
  }
}

const nowUs = (): number => Date.now() * 1000;
const line = (value: unknown): string => `${JSON.stringify(value)}\n`;
const row = ({ index, key, atUs }: Change): string =>
  line({ index, operation: "put", key, proposal: "1.1.1", at: atUs });
