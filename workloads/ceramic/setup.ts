import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { z } from "zod";
import type { RunSpec } from "../../schema/run.ts";
import type { ceramicParameters, DocumentShape } from "../../schema/systems/ceramic-workload.ts";
import { hashText, type Random, seededRandom } from "../core/random.ts";
import type { Author, AuthoredDocument } from "./authors.ts";
import { derivedSeed, Signer } from "./did.ts";
import { indexedFields, modelDefinition, newContent } from "./documents.ts";
import type { CeramicPeer, Reply } from "./peer.ts";
import { documentGenesis, modelGenesis, streamId, streamTypes } from "./streams.ts";

export type Parameters = z.output<typeof ceramicParameters>;

/** Where one worker's writes begin. */
export interface SetupPlace {
  readonly spec: Pick<RunSpec, "run" | "seed" | "operations">;
  readonly worker: number;
  readonly parameters: Parameters;
  readonly peers: readonly CeramicPeer[];
  /** One of the admins of every peer. */
  readonly admin: Signer;
  /** The secret that authors' keys are derived from. */
  readonly secret: Uint8Array;
}

/** All of it has to be done while the other workers wait at the barrier. */
const setupLimitMs = 150_000;
const requestLimitMs = 30_000;
const pauseMs = 500;
const concurrency = 4;

/**
 * The admin's private key, 32 bytes.
 *
 * @throws Error when the network gives no credentials, or not these
 */
export async function readSecret(credentials: string | undefined): Promise<Uint8Array> {
  if (credentials === undefined) {
    throw new Error("the network gives no credentials; those of a Ceramic network hold admin-seed");
  }
  const text = (await readFile(join(credentials, "admin-seed"), "utf8")).trim();
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw new Error("admin-seed of the network's credentials is not 32 bytes in hex");
  }
  return Buffer.from(text, "hex");
}

/** Models and authors of one worker, with the documents they begin with; every peer indexes the models. */
export async function prepareAuthors(place: SetupPlace): Promise<Author[]> {
  const { parameters, worker, peers } = place;
  const until = performance.now() + setupLimitMs;
  const signers = Array.from({ length: parameters.authors }, (_, index) => signerOf(place, index));
  const own = parameters.model === "author";
  const modellers = own ? signers : [place.admin];
  const models = await inTurns(modellers, (signer, index) =>
    makeModels(place, signer, own ? `${worker}-${index}` : "shared", until),
  );
  const authors = signers.map((signer, index) => ({
    index,
    signer,
    peer: peerOf(parameters, peers, worker, index),
    models: models[own ? index : 0] ?? {},
    documents: [] as AuthoredDocument[],
  }));
  await indexEverywhere(place, models, until);
  await inTurns(authors, (author) => makeDocuments(place, author, until));
  return authors;
}

/** Id of a model's stream by shape. */
type Models = Partial<Record<DocumentShape, string>>;

function signerOf({ spec, parameters, admin, secret, worker }: SetupPlace, index: number): Signer {
  return parameters.did === "shared"
    ? admin
    : new Signer(derivedSeed(secret, `orrery/ceramic/${spec.run}/${spec.seed}/${worker}/${index}`));
}

function peerOf({ peers: how }: Parameters, peers: readonly CeramicPeer[], worker: number, index: number): CeramicPeer {
  const place = { first: 0, worker, spread: worker + index }[how];
  const peer = peers[place % peers.length];
  if (peer === undefined) {
    throw new Error("the network has no members");
  }
  return peer;
}

/** Models of this run have names of their own, so that another run's documents are never counted among them. */
async function makeModels(place: SetupPlace, signer: Signer, owner: string, until: number): Promise<Models> {
  const { parameters, peers, worker, spec } = place;
  const peer = peerOf(parameters, peers, worker, 0);
  const models: Models = {};
  for (const shape of parameters.shapes) {
    const genesis = modelGenesis(signer, modelDefinition(`orrery-${shape}-${spec.run}-${owner}`, shape));
    await patiently(`a model could not be made at ${peer.endpoint.pod}`, until, (limitMs) =>
      peer.create(streamTypes.model, genesis, { limitMs }),
    );
    models[shape] = streamId(streamTypes.model, genesis.cid);
  }
  return models;
}

async function indexEverywhere({ peers, admin }: SetupPlace, models: readonly Models[], until: number): Promise<void> {
  const wanted = models.flatMap((byShape) =>
    Object.entries(byShape).map(([shape, streamID]) => ({
      streamID,
      indices: indexedFields(shape as DocumentShape),
    })),
  );
  await inTurns(peers, (peer) =>
    patiently(`${peer.endpoint.pod} does not come to index the models`, until, (limitMs) =>
      peer.index(wanted, admin, { limitMs }),
    ),
  );
}

async function makeDocuments(place: SetupPlace, author: Author, until: number): Promise<void> {
  const { parameters, spec, worker } = place;
  const random = seededRandom(spec.seed, worker, author.index, hashText("documents"));
  for (const shape of parameters.shapes) {
    for (let index = 0; index < parameters.documents; index += 1) {
      const name = `${spec.run}/${worker}/${author.index}/${shape}/${index}`;
      const { document, genesis } = newDocument(author, shape, { index, name, random });
      const value = await patiently(`a document could not be made at ${author.peer.endpoint.pod}`, until, (limitMs) =>
        author.peer.create(streamTypes.document, genesis, { limitMs }),
      );
      author.documents.push({ ...document, state: value });
    }
  }
}

/** A document that is yet to be sent. `name` is its own: two documents of one name, author and content are one. */
export function newDocument(
  { models, signer }: Author,
  shape: DocumentShape,
  { index, name, random }: { readonly index: number; readonly name: string; readonly random: Random },
) {
  const model = models[shape];
  if (model === undefined) {
    throw new Error(`there is no model of the shape ${shape}`);
  }
  const content = newContent(shape, signer.did, index, random);
  const unique = createHash("sha256").update(name).digest().subarray(0, 12);
  const genesis = documentGenesis(signer, model, content, new Uint8Array(unique));
  const document: AuthoredDocument = {
    streamId: streamId(streamTypes.document, genesis.cid),
    genesis: genesis.cid,
    shape,
    state: undefined,
  };
  return { document, genesis, content };
}

/**
 * Repeats a request until it succeeds.
 *
 * @throws Error saying what could not be done, and the last reason
 */
export async function patiently<T>(
  what: string,
  until: number,
  ask: (limitMs: number) => Promise<Reply<T>>,
): Promise<T> {
  for (;;) {
    const leftMs = until - performance.now();
    const reply = await ask(Math.min(requestLimitMs, Math.max(1, leftMs)));
    if (reply.ok) {
      return reply.value;
    }
    if (leftMs <= pauseMs) {
      throw new Error(`${what} within ${setupLimitMs / 1000} s; the last answer was ${reply.code}: ${reply.why}`);
    }
    await sleep(pauseMs);
  }
}

/** Does something for each of a list, a few at a time; results are in its order. */
export async function inTurns<A, B>(list: readonly A[], work: (item: A, index: number) => Promise<B>): Promise<B[]> {
  const results: B[] = [];
  const entries = list.entries();
  const turn = async (): Promise<void> => {
    for (const [index, item] of entries) {
      results[index] = await work(item, index);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, turn));
  return results;
}

/** When setup has to be done, from now. */
export const setupDeadline = (): number => performance.now() + setupLimitMs;
