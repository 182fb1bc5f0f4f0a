import type { Endpoint, RunSpec } from "../../schema/run.ts";
import { ceramicParameters } from "../../schema/systems/ceramic-workload.ts";
import type { ConnectOptions, Connector, Member } from "../core/connector.ts";
import { lookAtAnchors } from "./anchors.ts";
import { AuthorPool } from "./authors.ts";
import { BlockOperations } from "./block-operations.ts";
import { Signer } from "./did.ts";
import { DocumentOperations } from "./document-operations.ts";
import { firstToken, followDocuments, isAlive } from "./feed.ts";
import { CeramicPeer } from "./peer.ts";
import { storedEvents } from "./recon.ts";
import { type Parameters, prepareAuthors, readSecret, type SetupPlace } from "./setup.ts";
import { WriteOrder } from "./write-order.ts";

/** Operations that go to IPFS; the others go to js-ceramic. */
const blockOperations = ["ipfs_put", "ipfs_get", "recon_event"];

/**
 * Connects one worker to a Ceramic network: makes its authors, their models and first documents, and has every peer
 * index the models. An author keeps to one peer, and what fails there is not tried elsewhere: a peer's failures are its
 * own in the results.
 *
 * @throws Error saying what could not be made, where and why
 */
export async function connect(spec: RunSpec, { worker, credentials }: ConnectOptions): Promise<Connector> {
  const parameters = ceramicParameters.parse(spec.parameters);
  const names = Object.keys(spec.operations);
  requireDocuments(names, parameters);
  const secret = await readSecret(credentials);
  const peers = spec.endpoints.map((endpoint) => new CeramicPeer(endpoint));
  const first = firstToken(Date.now());
  const documented = names.some((name) => !blockOperations.includes(name));
  const place = { spec, worker, parameters, peers, admin: new Signer(secret), secret };
  const order = new WriteOrder();
  const pool = documented ? new AuthorPool(await prepareAuthors(place)) : undefined;
  const documents = pool === undefined ? undefined : new DocumentOperations(place, pool, order);
  const blocks = names.some((name) => blockOperations.includes(name))
    ? await BlockOperations.prepare(place)
    : undefined;
  return {
    operations: { ...documents?.operations, ...blocks?.operations },
    requests: {
      create: { method: "POST", path: "/api/v0/streams" },
      update: { method: "POST", path: "/api/v0/commits" },
      read: { method: "GET", path: "/api/v0/streams/{id}" },
      query: { method: "POST", path: "/api/v0/collection" },
      index_model: { method: "POST", path: "/api/v0/admin/modelData" },
      ipfs_put: { method: "POST", path: "/api/v0/block/put" },
      ipfs_get: { method: "POST", path: "/api/v0/dag/get" },
      recon_event: { method: "POST", path: "/ceramic/events" },
    },
    ...(documents === undefined ? {} : { readBack: (key: string) => documents.readBack(key) }),
    observe: (feed, signal) => followDocuments(feed, order, first, signal),
    ...heldOf(place, documents),
    ...(documents === undefined || parameters.anchors === undefined
      ? {}
      : { lookAtAnchors: (stop) => lookAtAnchors(documents.created, peers, { ...anchorOptions(place), stop }) }),
    close: async () => {
      await Promise.all([...peers.map((peer) => peer.close()), blocks?.close()]);
    },
  };
}

/** How members say what they hold: js-ceramic by its index, ceramic-one by a counter. */
function heldOf(place: SetupPlace, documents: DocumentOperations | undefined): Pick<Connector, "held"> {
  if (place.worker > 0 && (documents === undefined || place.parameters.model === "shared")) {
    return {}; // the first worker does
  }
  if (documents !== undefined) {
    return { held: ({ ordinal }) => documents.held(ordinal) };
  }
  return place.spec.operations.recon_event === undefined ? {} : { held: storedEvents };
}

const anchorOptions = ({ parameters, spec }: SetupPlace) => ({
  waitMs: (parameters.anchors?.wait ?? 0) * 1000,
  seed: spec.seed,
});

/** @throws Error when there would be nothing to change, read or ask for */
function requireDocuments(operations: readonly string[], { documents, shapes }: Parameters): void {
  const needy = operations.find((name) => ["update", "read", "query"].includes(name));
  if (needy !== undefined && documents === 0) {
    throw new Error(`${needy} needs documents, and workload.parameters.documents is 0; write 1 or more`);
  }
  if (operations.includes("query") && shapes.every((shape) => shape === "small")) {
    throw new Error("query needs documents of the shape large or kilobyte; add one to workload.parameters.shapes");
  }
}

/** Enough for a peer that works; those that hang are as good as gone. */
const roleLimitMs = 250;

/** Peers that answer within 250 ms; none is more than another. */
export async function roles(endpoints: readonly Endpoint[]): Promise<Member[]> {
  const { signal } = new AbortController();
  const alive = await Promise.all(endpoints.map(({ url }) => isAlive(url, signal, roleLimitMs)));
  return endpoints.filter((_, index) => alive[index]).map(({ pod, ordinal }) => ({ pod, ordinal, role: "peer" }));
}
