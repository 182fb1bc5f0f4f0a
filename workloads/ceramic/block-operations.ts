import type { Connector, OperationContext, Outcome } from "../core/connector.ts";
import { carOf } from "./car.ts";
import { derivedSeed, Signer } from "./did.ts";
import { modelDefinition, newContent } from "./documents.ts";
import { type Block, blockOf, IpfsPeer } from "./ipfs.ts";
import type { Reply } from "./peer.ts";
import { inTurns, patiently, type SetupPlace, setupDeadline } from "./setup.ts";
import { documentGenesis, modelGenesis, streamId, streamTypes } from "./streams.ts";

/** What one worker does with IPFS itself, without js-ceramic. */
export class BlockOperations {
  readonly operations: Connector["operations"];
  readonly #place: SetupPlace;
  readonly #peers: readonly IpfsPeer[];
  readonly #signer: Signer;

  private constructor(place: SetupPlace, peers: readonly IpfsPeer[]) {
    this.#place = place;
    this.#peers = peers;
    this.#signer = new Signer(derivedSeed(place.secret, `orrery/ceramic/${place.spec.run}/${place.worker}/events`));
    this.operations = {
      ipfs_put: (context) => this.#put(context),
      ipfs_get: (context) => this.#get(context),
      recon_event: (context) => this.#event(context),
    };
  }

  /**
   * Stores each author's block, and has every peer of ceramic-one want the events of the run's model, as far as the
   * operations need it.
   */
  static async prepare(place: SetupPlace): Promise<BlockOperations> {
    const peers = place.peers.map(({ endpoint }) => new IpfsPeer(endpoint));
    const self = new BlockOperations(place, peers);
    const { operations } = place.spec;
    const until = setupDeadline();
    if (operations.ipfs_get !== undefined && place.worker === 0) {
      await inTurns(Array.from({ length: place.parameters.authors }), async (_, author) => {
        const peer = self.#peerOf(author, 0);
        await patiently(`a block could not be stored at ${peer.endpoint.pod}`, until, (limitMs) =>
          peer.put(self.#blockOf(author), { limitMs }),
        );
      });
    }
    if (operations.recon_event !== undefined) {
      await inTurns(peers, (peer) =>
        patiently(`${peer.endpoint.pod} does not take an interest`, until, (limitMs) =>
          peer.interest(self.#model(), { limitMs }),
        ),
      );
    }
    return self;
  }

  async close(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.close()));
  }

  async #put({ sequence, random, headers, remainingMs }: OperationContext): Promise<Outcome> {
    const { spec, worker, parameters } = this.#place;
    const author = random.below(parameters.authors);
    const peer = this.#peerOf(author, worker);
    const block = blockOf(`${spec.run}/${worker}/${sequence}`, author);
    return outcomeOf(peer, await peer.put(block, { headers, limitMs: remainingMs() }));
  }

  /** The block that the first worker's author of the same number stored; at another peer it has to come over. */
  async #get({ random, headers, remainingMs }: OperationContext): Promise<Outcome> {
    const { worker, parameters } = this.#place;
    const author = random.below(parameters.authors);
    const peer = this.#peerOf(author, worker);
    return outcomeOf(peer, await peer.get(this.#blockOf(author), { headers, limitMs: remainingMs() }));
  }

  async #event({ sequence, random, headers, remainingMs }: OperationContext): Promise<Outcome> {
    const { spec, worker } = this.#place;
    const peer = this.#peerOf(random.below(this.#place.parameters.authors), worker);
    const content = newContent("kilobyte", this.#signer.did, sequence, random);
    const unique = new TextEncoder().encode(`${spec.run}/${worker}/${sequence}`);
    const { blocks } = documentGenesis(this.#signer, this.#model(), content, unique);
    return outcomeOf(peer, await peer.event(carOf(blocks), { headers, limitMs: remainingMs() }));
  }

  #blockOf(author: number): Block {
    return blockOf(this.#place.spec.run, author);
  }

  /** The same for all workers of a run, and no other run's. */
  #model(): string {
    const { admin, spec } = this.#place;
    return streamId(
      streamTypes.model,
      modelGenesis(admin, modelDefinition(`orrery-events-${spec.run}`, "kilobyte")).cid,
    );
  }

  #peerOf(author: number, worker: number): IpfsPeer {
    const place = { first: 0, worker, spread: worker + author }[this.#place.parameters.peers];
    const peer = this.#peers[place % this.#peers.length];
    if (peer === undefined) {
      throw new Error("the network has no members");
    }
    return peer;
  }
}

function outcomeOf({ endpoint }: IpfsPeer, reply: Reply<unknown>): Outcome {
  const { ordinal } = endpoint;
  return reply.ok
    ? { ok: true, endpoint: ordinal, attempts: 1 }
    : { ok: false, code: reply.code, endpoint: ordinal, attempts: 1 };
}
