import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { messageOf } from "../../schema/errors.ts";
import type { WorkerResult } from "../../schema/results.ts";
import { referenceLimitMs } from "../../schema/run.ts";
import type { Account } from "./accounts.ts";
import type { NodeRpc } from "./rpc.ts";
import { type Chain, publicWay, type Sender } from "./sender.ts";
import { signTransaction } from "./transaction.ts";

type Reference = NonNullable<WorkerResult["reference"]>;
type Window = Reference["windows"][number];

export interface ReferencePlan {
  /** Transfers of each window. */
  readonly transfers: number;
  /** Windows of each sender. */
  readonly pairs: number;
}

export interface ReferenceScene {
  readonly chain: Chain;
  readonly sender: Sender;
  /** Account and node of the raw sender. */
  readonly account: Account;
  readonly node: NodeRpc;
}

const gas = 21_000;
const callsOfBatch = 100;
const pollMs = 20;
const askLimitMs = 5_000;
/** Both senders have compiled code and open connections after so many. */
const warmUpTransfers = 200;
const windowLimitMs = 40_000;

/**
 * Transfers as fast as the nodes take them, in turns: by a raw sender, which has signed them before, hands batches to one
 * node one after the other and looks at nothing but the account's nonce, and by this connector, which signs each, follows
 * blocks and learns how each ended. Turns alternate (raw, connector, connector, raw, ...), because what else the machine
 * does makes rates vary; fewer are taken where the nodes are slow.
 *
 * @returns With `problem` when a window could not be completed.
 */
export async function measureReference(
  scene: ReferenceScene,
  { transfers, pairs }: ReferencePlan,
  stop: AbortSignal,
): Promise<Reference> {
  const endMs = performance.now() + referenceLimitMs;
  const remainingMs = () => endMs - performance.now();
  const measure = (sender: Window["sender"], count: number) =>
    measureWindow(scene, { sender, transfers: count, limitMs: Math.min(windowLimitMs, remainingMs()) }, stop);
  const windows: Window[] = [];
  try {
    await measure("connector", Math.min(transfers, warmUpTransfers));
    await measure("raw", Math.min(transfers, warmUpTransfers));
    for (let pair = 0; pair < pairs && (pair === 0 || remainingMs() > 2 * windowLimitMs); pair += 1) {
      for (const sender of pair % 2 === 0 ? (["raw", "connector"] as const) : (["connector", "raw"] as const)) {
        windows.push(await measure(sender, transfers));
      }
    }
    return { transfers, windows };
  } catch (error) {
    scene.account.doubt();
    return { transfers, windows, problem: messageOf(error) };
  }
}

interface WindowPlan extends Pick<Window, "sender"> {
  readonly transfers: number;
  readonly limitMs: number;
}

async function measureWindow(scene: ReferenceScene, plan: WindowPlan, stop: AbortSignal): Promise<Window> {
  const { sender, transfers, limitMs } = plan;
  const limit = AbortSignal.any([stop, AbortSignal.timeout(Math.ceil(Math.max(1, limitMs)))]);
  const send = sender === "raw" ? await prepareRaw(scene, transfers, limit) : () => sendConnected(scene, plan);
  const [cpuBefore, begunMs] = [process.cpuUsage(), performance.now()];
  await send();
  const { user, system } = process.cpuUsage(cpuBefore);
  return { sender, seconds: (performance.now() - begunMs) / 1000, cpuSeconds: (user + system) / 1e6 };
}

/** An account that nobody has; the low ones are precompiled contracts. */
function receiver(index: number): Uint8Array {
  const to = new Uint8Array(20).fill(0xfe);
  new DataView(to.buffer).setUint32(16, index);
  return to;
}

/** Signs everything; what is returned sends it and waits until the last one is in a block. */
async function prepareRaw({ chain, account, node }: ReferenceScene, transfers: number, limit: AbortSignal) {
  await account.ready(node);
  const nonces = Array.from({ length: transfers }, () => account.take());
  const raws = nonces.map((nonce, index) => {
    const content = { to: receiver(index), value: 1n, data: new Uint8Array(), gas };
    return signTransaction({ ...content, nonce, gasPrice: chain.gasPrice }, account.key, chain.id).raw;
  });
  const all = Math.max(...nonces) + 1;
  const mined = async () => Number(await node.call("eth_getTransactionCount", [account.address, "latest"], askLimitMs));
  return async (): Promise<void> => {
    for (let start = 0; start < raws.length; start += callsOfBatch) {
      await sendBatch(node.endpoint.url, raws.slice(start, start + callsOfBatch), limit);
    }
    while ((await mined()) < all) {
      await sleep(pollMs, undefined, { signal: limit });
    }
  };
}

async function sendBatch(url: string, raws: readonly string[], signal: AbortSignal): Promise<void> {
  const calls = raws.map((raw, id) => ({ jsonrpc: "2.0", id, method: "eth_sendRawTransaction", params: [raw] }));
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(calls), signal });
  const text = await answer.text();
  if (!answer.ok || text.includes('"error"')) {
    throw new Error(`the raw sender was refused: HTTP ${answer.status} ${text.slice(0, 300)}`);
  }
}

async function sendConnected({ chain, sender }: ReferenceScene, { transfers, limitMs }: WindowPlan): Promise<void> {
  const endMs = performance.now() + limitMs;
  const context = { remainingMs: () => endMs - performance.now() };
  const way = publicWay(chain);
  const sent = [];
  for (let index = 0; index < transfers; index += 1) {
    sent.push(sender.send({ to: receiver(index), value: 1n, data: new Uint8Array(), gas }, way, context));
    if (index % callsOfBatch === 0) {
      await turn(); // what is signed may leave while the rest is
    }
  }
  const codes = (await Promise.all(sent)).flatMap(({ ok, code = "error" }) => (ok ? [] : [code]));
  if (codes.length > 0) {
    throw new Error(
      `${codes.length} of the connector's ${transfers} transfers failed: ${[...new Set(codes)].join(", ")}`,
    );
  }
}
