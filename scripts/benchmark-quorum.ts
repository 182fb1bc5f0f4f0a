import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { formatMs, formatRate, formatRatio } from "../analysis/format.ts";
import type { WorkerData } from "../analysis/read.ts";
import { referenceOf } from "../analysis/reference.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { resolveTools } from "../local/toolchain/toolchain.ts";
import type { RunSpec } from "../schema/run.ts";
import { QuorumChain } from "../test/support/quorum-chain.ts";
import { connect } from "../workloads/quorum/connector.ts";

/**
 * How much of what three QBFT nodes take the connector gets, on loopback: the windows of workloads/quorum/reference.ts,
 * without a cluster, for work on the connector (`node --cpu-prof scripts/benchmark-quorum.ts`). Nothing is asserted.
 */
const { values } = parseArgs({
  options: { transfers: { type: "string", default: "2000" }, pairs: { type: "string", default: "4" } },
});

const geth = (await resolveTools(OrreryHome.fromEnvironment(), ["goquorum"])).path("goquorum-geth");
const chain = await QuorumChain.start({ geth, nodes: 3, accounts: 64 });
try {
  const reference = { transfers: Number(values.transfers), pairs: Number(values.pairs) };
  const spec = {
    ...{ run: "benchmark", experiment: "quorum", system: "quorum", seed: 1, workers: 1 },
    operations: { transfer: 1 },
    parameters: { keys: 1, valueSize: 32, reference },
    endpoints: chain.endpoints,
  } as unknown as RunSpec;
  const connector = await connect(spec, { worker: 0, credentials: chain.credentials });
  const measured = await connector.reference?.(new AbortController().signal);
  await connector.close();
  const found = referenceOf({ workers: [{ result: { reference: measured } } as unknown as WorkerData] });
  if (measured === undefined || found === undefined) throw new Error("nothing was compared");
  if (typeof found === "string") throw new Error(found);
  console.log(`${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${measured.transfers} transfers a window`);
  for (const name of ["raw", "connector"] as const) {
    const windows = measured.windows.filter(({ sender }) => sender === name);
    const rates = windows.map(({ seconds }) => formatRate(measured.transfers / seconds)).join(" ");
    console.log(`${name.padEnd(10)} ${rates}; driver CPU ${formatMs(found[name].cpu_ms)} a transfer`);
  }
  console.log(`connector / raw: ${formatRatio(found.ratio, 0)}   target 80 %`);
} finally {
  await chain.destroy();
}
