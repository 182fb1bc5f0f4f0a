import { cpus, loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { OrreryHome } from "../local/toolchain/home.ts";
import { resolveTools } from "../local/toolchain/toolchain.ts";
import type { RunSpec } from "../schema/run.ts";
import { accountsKeyHex, chainId, QuorumChain } from "../test/support/quorum-chain.ts";
import type { OperationContext } from "../workloads/core/connector.ts";
import { seededRandom } from "../workloads/core/random.ts";
import { accountKey } from "../workloads/quorum/accounts.ts";
import { connect } from "../workloads/quorum/connector.ts";
import { addressOf, signTransaction } from "../workloads/quorum/transaction.ts";

/**
 * How much of what three QBFT nodes take the connector gets: the same number of transfers once by the connector, which
 * signs each, follows blocks and reads every receipt, and once as a raw sender would, signed before, in batches to one
 * node, waited for by the account's nonce. Arms alternate (raw, connector, connector, raw, ...) on one network on
 * loopback, because what else the machine does makes rates vary. Nothing is asserted.
 */
const { values } = parseArgs({
  options: {
    transfers: { type: "string", default: "2000" },
    rounds: { type: "string", default: "2" },
    "in-flight": { type: "string" }, // all, as the raw sender has them,
  },
});
const transfers = Number(values.transfers);
const inFlight = Number(values["in-flight"] ?? values.transfers);
const batch = 100;
const key = (ordinal: number) => accountKey(new Uint8Array(Buffer.from(accountsKeyHex, "hex")), ordinal);

interface Arm {
  readonly perSecond: number;
  /** Seconds of CPU of this process for 1,000 transfers. */
  readonly cpuSeconds: number;
}

async function measured(send: () => Promise<void>): Promise<Arm> {
  const [cpuBefore, begunMs] = [process.cpuUsage(), performance.now()];
  await send();
  const { user, system } = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - begunMs) / 1000;
  return { perSecond: transfers / seconds, cpuSeconds: ((user + system) / 1e6 / transfers) * 1000 };
}

/** What is signed before an arm begins, and where it ends. */
async function prepareRaw(chain: QuorumChain) {
  const from = key(1); // of worker 1; the connector is worker 0
  const nonceOf = async () => Number(await chain.call(0, "eth_getTransactionCount", addressOf(from), "latest"));
  const first = await nonceOf();
  const raws = Array.from({ length: transfers }, (_, index) => {
    const to = new Uint8Array(20).fill(1 + (index % 250));
    const content = { gasPrice: 0n, gas: 21_000, to, value: 1n, data: new Uint8Array() };
    return signTransaction({ ...content, nonce: first + index }, from, chainId).raw;
  });
  return async (): Promise<void> => {
    for (let start = 0; start < raws.length; start += batch) {
      const calls = raws.slice(start, start + batch).map((raw, id) => {
        return { jsonrpc: "2.0", id, method: "eth_sendRawTransaction", params: [raw] };
      });
      const answer = await fetch(chain.endpoints[0]?.url ?? "", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(calls),
      });
      await answer.text();
    }
    while ((await nonceOf()) < first + transfers) await sleep(20);
  };
}

let sequence = 0;
async function sendConnected(
  transfer: (context: OperationContext) => Promise<{ readonly ok: boolean }>,
): Promise<void> {
  let left = transfers;
  let failed = 0;
  const users = Array.from({ length: Math.min(inFlight, transfers) }, async () => {
    while (left > 0) {
      left -= 1;
      sequence += 1;
      const endMs = performance.now() + 120_000;
      const random = seededRandom(sequence);
      const outcome = await transfer({ sequence, random, headers: {}, remainingMs: () => endMs - performance.now() });
      failed += outcome.ok ? 0 : 1;
    }
  });
  await Promise.all(users);
  if (failed > 0) throw new Error(`${failed} of ${transfers} transfers failed`);
}

/** The middle one, or the mean of the two in the middle. */
function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

const geth = (await resolveTools(OrreryHome.fromEnvironment(), ["goquorum"])).path("goquorum-geth");
const chain = await QuorumChain.start({ geth, nodes: 3, accounts: 64 });
try {
  const spec = {
    ...{ run: "benchmark", experiment: "quorum", system: "quorum", seed: 1, workers: 2 },
    operations: { transfer: 1 },
    parameters: { keys: 1, valueSize: 32 },
    endpoints: chain.endpoints,
  } as unknown as RunSpec;
  const connector = await connect(spec, { worker: 0, credentials: chain.credentials });
  const { transfer } = connector.operations;
  if (transfer === undefined) throw new Error("the connector has no transfers");
  const arms: { raw: Arm[]; connector: Arm[] } = { raw: [], connector: [] };
  const raw = async () => void arms.raw.push(await measured(await prepareRaw(chain)));
  const connected = async () => void arms.connector.push(await measured(() => sendConnected(transfer)));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const arm of [raw, connected, connected, raw]) await arm();
  }
  await connector.close();
  console.log(`${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${transfers} transfers an arm, 3 QBFT nodes`);
  for (const [name, found] of Object.entries(arms)) {
    const rates = found.map(({ perSecond }) => perSecond.toFixed(0)).join(" ");
    const cpu = median(found.map(({ cpuSeconds }) => cpuSeconds)).toFixed(2);
    console.log(`${name.padEnd(10)} tx/s ${rates}; driver CPU ${cpu} s per 1,000`);
  }
  const ratio = median(arms.connector.map((a) => a.perSecond)) / median(arms.raw.map((a) => a.perSecond));
  console.log(`connector / raw: ${ratio.toFixed(2)}   target 0.8`);
} finally {
  await chain.destroy();
}
