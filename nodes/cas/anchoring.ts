import { setTimeout as sleep } from "node:timers/promises";
import { CID } from "multiformats/cid";
import { blockOf, carOf } from "./blocks.ts";
import { type Chain, transactionCid } from "./chain.ts";
import { log, messageOf } from "./log.ts";
import { merkleTree, type Witness } from "./merkle.ts";
import type { AnchorRequest, Queue } from "./queue.ts";
import { genesisOf } from "./stream-id.ts";

/** How requests are collected. */
export interface AnchoringSettings {
  /** Pause before a batch is closed, in ms. */
  readonly lingerMs: number;
  /** Requests of one transaction at most. */
  readonly batchSize: number;
}

/** What an anchor says of its transaction. */
interface Proof {
  readonly chainId: string;
  readonly root: CID;
  readonly txHash: CID;
  readonly txType: "f(bytes32)";
}

const retryMs = 1_000;

/** Anchors what waits, batch after batch, until it is stopped. What the chain refuses is tried again. */
export async function anchorAll(
  queue: Queue,
  chain: Chain,
  settings: AnchoringSettings,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      if (queue.pending().length === 0) await sleep(100, undefined, { signal });
      else {
        await sleep(settings.lingerMs, undefined, { signal });
        await anchorBatch(queue, chain, settings.batchSize);
      }
    } catch (error) {
      if (signal.aborted) return;
      log("error", "a batch was not anchored; it is tried again", { problem: messageOf(error) });
      await sleep(retryMs, undefined, { signal }).catch(() => undefined); // aborted: the loop ends
    }
  }
}

/**
 * Anchors the oldest requests in one transaction. Of several tips of one stream the newest is anchored, and stands for
 * the others. After a crash between transaction and note, the requests get another transaction, which does no harm.
 */
export async function anchorBatch(queue: Queue, chain: Chain, batchSize: number): Promise<void> {
  const batch = queue.pending().slice(0, batchSize);
  const newest = [...new Map(batch.map((request) => [request.streamId, request])).values()];
  if (newest.length === 0) return;
  const tree = await merkleTree(newest.map(({ cid }) => CID.parse(cid)));
  const [chainId, { txHash, blockNumber }] = [await chain.id(), await chain.anchor(tree.root)];
  const proof: Proof = { chainId, root: tree.root, txHash: transactionCid(txHash), txType: "f(bytes32)" };
  const atMs = Date.now();
  const anchored = await Promise.all(
    newest.map(async (request, index) => {
      const witness = tree.witnesses[index] ?? { path: "", blocks: [] };
      return { kind: "anchored" as const, cid: request.cid, atMs, ...(await anchorOf(request, proof, witness)) };
    }),
  );
  const replaced = batch
    .filter((request) => !newest.includes(request))
    .map(({ cid }) => ({ kind: "replaced" as const, cid, atMs }));
  await queue.finish([...anchored, ...replaced]);
  log("info", "anchored", { requests: anchored.length, replaced: replaced.length, txHash, blockNumber });
}

async function anchorOf({ cid, streamId }: AnchorRequest, proof: Proof, { path, blocks }: Witness) {
  const proofBlock = await blockOf(proof);
  const anchor = await blockOf({ id: genesisOf(streamId), prev: CID.parse(cid), proof: proofBlock.cid, path });
  const car = carOf(anchor.cid, [anchor, proofBlock, ...blocks]);
  return { anchorCid: anchor.cid.toString(), witness: Buffer.from(car).toString("base64").replace(/=+$/, "") };
}
