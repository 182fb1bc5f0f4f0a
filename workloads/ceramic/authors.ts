import type { CID } from "multiformats/cid";
import type { DocumentShape } from "../../schema/systems/ceramic-workload.ts";
import type { Random } from "../core/random.ts";
import type { Signer } from "./did.ts";
import type { CeramicPeer, StreamState } from "./peer.ts";

/** A document of an author, as its peer is known to have it. */
export interface AuthoredDocument {
  readonly streamId: string;
  readonly genesis: CID;
  readonly shape: DocumentShape;
  /** Undefined while it is not known, because a change has an unknown end; read again before it is changed. */
  state: Pick<StreamState, "content" | "tip"> | undefined;
}

/** One who writes: a key, a peer, and documents by shape. */
export interface Author {
  readonly index: number;
  readonly signer: Signer;
  readonly peer: CeramicPeer;
  /** Stream id of the model of each shape. */
  readonly models: Readonly<Partial<Record<DocumentShape, string>>>;
  readonly documents: AuthoredDocument[];
}

interface Waiting {
  readonly serve: (author: Author) => void;
}

/**
 * Authors, each doing one thing at a time: changes of one document that overlap would be a conflict, of which Ceramic
 * drops one.
 */
export class AuthorPool {
  readonly authors: readonly Author[];
  readonly #busy: boolean[];
  readonly #waiting = new Set<Waiting>();

  constructor(authors: readonly Author[]) {
    this.authors = authors;
    this.#busy = authors.map(() => false);
  }

  /**
   * Does something as a free author, the first from a drawn one on; waits where none is.
   *
   * @returns undefined when none became free within the limit
   */
  async asOne<T>(random: Random, limitMs: number, work: (author: Author) => Promise<T>): Promise<T | undefined> {
    const author = this.#free(random) ?? (await this.#wait(limitMs));
    if (author === undefined) {
      return undefined;
    }
    try {
      return await work(author);
    } finally {
      this.#release(author);
    }
  }

  #free(random: Random): Author | undefined {
    const first = random.below(this.authors.length);
    for (let step = 0; step < this.authors.length; step += 1) {
      const index = (first + step) % this.authors.length;
      if (this.#busy[index] === false) {
        this.#busy[index] = true;
        return this.authors[index];
      }
    }
    return undefined;
  }

  #wait(limitMs: number): Promise<Author | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => {
          this.#waiting.delete(waiting);
          resolve(undefined);
        },
        Math.max(0, limitMs),
      );
      const waiting: Waiting = {
        serve: (author) => {
          clearTimeout(timer);
          resolve(author);
        },
      };
      this.#waiting.add(waiting);
    });
  }

  #release(author: Author): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#busy[author.index] = false;
      return;
    }
    this.#waiting.delete(next);
    next.serve(author);
  }
}
