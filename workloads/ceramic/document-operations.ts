import { isDeepStrictEqual } from "node:util";
import type { Connector, OperationContext, Outcome } from "../core/connector.ts";
import type { Random } from "../core/random.ts";
import type { Author, AuthoredDocument, AuthorPool } from "./authors.ts";
import { type Content, change, indexedFields, modelDefinition, patchOf } from "./documents.ts";
import type { Call, CeramicPeer, Reply } from "./peer.ts";
import { newDocument, type SetupPlace } from "./setup.ts";
import { commitId, documentChange, modelGenesis, streamId, streamTypes } from "./streams.ts";
import type { WriteOrder } from "./write-order.ts";

/** With less time than this left nothing is tried again. */
const leastAttemptMs = 20;
const readBackLimitMs = 5_000;
const countLimitMs = 5_000;
/** An author does not come to own more documents than this; what it creates beyond is left alone. */
const mostDocuments = 1_000;

/** What one worker's authors do with documents. */
export class DocumentOperations {
  readonly operations: Connector["operations"];
  readonly #place: SetupPlace;
  readonly #order: WriteOrder;
  /** Who acknowledged a document's last write. */
  readonly #homes = new Map<string, CeramicPeer>();
  /** What is created is used again. */
  readonly #keep: boolean;
  readonly #models: ReadonlySet<string>;
  readonly #created: string[] = [];

  constructor(place: SetupPlace, pool: AuthorPool, order: WriteOrder) {
    this.#place = place;
    this.#order = order;
    this.#keep = Object.keys(place.spec.operations).some((name) => ["update", "read", "query"].includes(name));
    this.#models = new Set(pool.authors.flatMap(({ models }) => Object.values(models)));
    const asAuthor =
      (work: (author: Author, context: OperationContext) => Promise<Outcome>) =>
      async (context: OperationContext): Promise<Outcome> =>
        (await pool.asOne(context.random, context.remainingMs(), (author) => work(author, context))) ?? {
          ok: false,
          code: "no_author",
          endpoint: -1,
          attempts: 0,
        };
    this.operations = {
      create: asAuthor((author, context) => this.#create(author, context)),
      update: asAuthor((author, context) => this.#update(author, context)),
      read: asAuthor((author, context) => this.#read(author, context)),
      query: asAuthor((author, context) => this.#query(author, context)),
      index_model: asAuthor((author, context) => this.#indexModel(author, context)),
    };
  }

  /**
   * Documents in a peer's index, of the models this worker answers for: the first worker for those that all share.
   *
   * @throws Error when the peer does not tell
   */
  async held(ordinal: number): Promise<number> {
    const peer = this.#place.peers.find(({ endpoint }) => endpoint.ordinal === ordinal);
    let sum = 0;
    for (const model of this.#models) {
      const reply = await peer?.count(model, { limitMs: countLimitMs });
      if (reply?.ok !== true) {
        throw new Error(reply?.why ?? `there is no peer ${ordinal}`);
      }
      sum += reply.value;
    }
    return sum;
  }

  /** Ids of the documents whose creation was acknowledged. */
  get created(): readonly string[] {
    return this.#created;
  }

  /** Content at the peer that acknowledged the last write of it. */
  async readBack(key: string): Promise<string | null> {
    const reply = await this.#homes.get(key)?.read(key, { limitMs: readBackLimitMs });
    if (reply?.ok !== true) {
      throw new Error(reply?.code ?? "nobody acknowledged it");
    }
    return textOf(reply.value.content);
  }

  async #create(author: Author, context: OperationContext): Promise<Outcome> {
    const shape = draw(this.#place.parameters.shapes, context.random);
    const name = `${this.#place.spec.run}/${this.#place.worker}/${context.sequence}`;
    const made = newDocument(author, shape, { index: author.documents.length, name, random: context.random });
    const { document, genesis, content } = made;
    const event = commitId(streamTypes.document, document.genesis, genesis.cid);
    this.#order.add(document.streamId, event);
    const reply = await author.peer.create(streamTypes.document, genesis, callOf(context));
    this.#homes.set(document.streamId, author.peer);
    const write = { key: document.streamId, value: textOf(content), lingering: false };
    if (reply.ok && this.#place.parameters.anchors !== undefined) {
      this.#created.push(document.streamId);
    }
    if (reply.ok && this.#keep && author.documents.length < mostDocuments) {
      author.documents.push({ ...document, state: reply.value });
    }
    return { ...outcomeOf(author, reply, 1), write, ...(reply.ok ? { event } : {}) };
  }

  /** Where a peer refuses, its newest commit may not be the one that is known, as after an anchor: once again then. */
  async #update(author: Author, context: OperationContext): Promise<Outcome> {
    const document = draw(author.documents, context.random);
    for (let attempts = 1; ; attempts += 1) {
      const before = await this.#stateOf(author, document, context);
      if (!before.ok) {
        return outcomeOf(author, before, attempts);
      }
      const fields = change(document.shape, before.value.content, context.random);
      const { genesis, streamId: stream } = document;
      const commit = documentChange(author.signer, genesis, before.value.tip, patchOf(fields));
      const event = commitId(streamTypes.document, genesis, commit.cid);
      this.#order.add(stream, event);
      document.state = undefined;
      const reply = await author.peer.change(stream, commit, callOf(context));
      const value = textOf({ ...before.value.content, ...fields });
      const write = { key: stream, value, lingering: attempts > 1 };
      this.#homes.set(stream, author.peer);
      if (reply.ok) {
        document.state = reply.value;
        const taken = reply.value.tip.equals(commit.cid);
        return taken
          ? { ...outcomeOf(author, reply, attempts), write, event }
          : { ...failureOf(author, "conflict", attempts), write };
      }
      if (reply.status === undefined || attempts > 1 || context.remainingMs() < leastAttemptMs) {
        return { ...outcomeOf(author, reply, attempts), write };
      }
    }
  }

  async #read(author: Author, context: OperationContext): Promise<Outcome> {
    const document = draw(author.documents, context.random);
    const known = document.state;
    const reply = await author.peer.read(document.streamId, callOf(context));
    if (!reply.ok) {
      return outcomeOf(author, reply, 1);
    }
    document.state = reply.value;
    return known === undefined || isDeepStrictEqual(known.content, reply.value.content)
      ? outcomeOf(author, reply, 1)
      : failureOf(author, "stale", 1);
  }

  /** Asks for documents with the number that one of the author's has; one at least must be found. */
  async #query(author: Author, context: OperationContext): Promise<Outcome> {
    const document = draw(
      author.documents.filter(({ shape }) => shape !== "small"),
      context.random,
    );
    const state = await this.#stateOf(author, document, context);
    if (!state.ok) {
      return outcomeOf(author, state, 1);
    }
    const { tpe } = state.value.content;
    const model = author.models[document.shape];
    if (tpe === undefined || model === undefined) {
      return failureOf(author, "malformed", 1);
    }
    const reply = await author.peer.query(model, { tpe }, callOf(context));
    const found = reply.ok && reply.value.some((content) => content.tpe === tpe);
    return reply.ok && !found ? failureOf(author, "wrong_answer", 1) : outcomeOf(author, reply, 1);
  }

  async #indexModel(author: Author, context: OperationContext): Promise<Outcome> {
    const { spec, worker, parameters, admin } = this.#place;
    const shape = draw(parameters.shapes, context.random);
    const name = `orrery-${shape}-${spec.run}-${worker}-new-${context.sequence}`;
    const genesis = modelGenesis(author.signer, modelDefinition(name, shape));
    const made = await author.peer.create(streamTypes.model, genesis, callOf(context));
    if (!made.ok) {
      return outcomeOf(author, made, 1);
    }
    const model = { streamID: streamId(streamTypes.model, genesis.cid), indices: indexedFields(shape) };
    return outcomeOf(author, await author.peer.index([model], admin, callOf(context)), 1);
  }

  async #stateOf(author: Author, document: AuthoredDocument, context: OperationContext) {
    if (document.state !== undefined) {
      return { ok: true, value: document.state } as const;
    }
    const reply = await author.peer.read(document.streamId, callOf(context));
    document.state = reply.ok ? reply.value : undefined;
    return reply;
  }
}

const callOf = ({ headers, remainingMs }: OperationContext): Call => ({ headers, limitMs: remainingMs() });

function draw<T>(list: readonly T[], random: Random): T {
  const drawn = list[random.below(list.length)];
  if (drawn === undefined) {
    throw new RangeError("there is nothing to draw from"); // parameters that leave an author without documents are refused
  }
  return drawn;
}

function outcomeOf({ peer }: Author, reply: Reply<unknown>, attempts: number): Outcome {
  const { ordinal: endpoint } = peer.endpoint;
  return reply.ok ? { ok: true, endpoint, attempts } : { ok: false, code: reply.code, endpoint, attempts };
}

function failureOf({ peer }: Author, code: string, attempts: number): Outcome {
  return { ok: false, code, endpoint: peer.endpoint.ordinal, attempts };
}

/** The same text for the same fields, in whatever order they come. */
function textOf(content: Content): string {
  return JSON.stringify(Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1)));
}
