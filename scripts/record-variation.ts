import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readRunRecord } from "../analysis/compare/runs.ts";

/**
 * Records how much runs of one network differ by chance: so many runs on the local cluster, one after the other, and
 * the metrics of each. What else the machine does in the meantime is in the result, so leave it alone.
 *
 *     node scripts/record-variation.ts 18 test/fixtures/run-to-run-quiet.json
 */
const [count = "18", output = "variation.json"] = process.argv.slice(2);
const cli = fileURLToPath(new URL("../cli/orrery.js", import.meta.url));
const metrics = /^(put|get)\.(rate|latency\.p(50|90|95|99))$|^(success|achieved)_ratio$/;
const experiment = `schema: orrery/v1
name: variation
seed: 7
network: {system: kv, replicas: 3, storage: 1Gi}
workload:
  operations: {put: 1, get: 3}
  arrival: {rate: 300/s}
  phases: {warmup: 3s, measure: 15s, cooldown: 1s}
  workers: 1
  parameters: {keys: 500, valueSize: 128B}
objectives: [{metric: lost_writes, max: 0}]
`;

const folder = await mkdtemp(join(tmpdir(), "orrery-variation-"));
const file = join(folder, "experiment.yaml");
const results = join(folder, "results");

function orrery(...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: "utf8" });
  if (status === null || status > 2) {
    throw new Error(`orrery ${args[0]}: exit code ${status}\n${stderr}`);
  }
}

try {
  await writeFile(file, experiment);
  const loads: number[] = [];
  for (let run = 0; run < Number(count); run += 1) {
    orrery("run", file, "--results", results);
    loads.push(loadavg()[0] ?? 0);
    process.stderr.write(`run ${run + 1} of ${count}, load average ${loads.at(-1)?.toFixed(1)}\n`);
  }
  const runs = [];
  for (const run of (await readdir(join(results, "variation"))).sort()) {
    const { record, against } = await readRunRecord(join(results, "variation", run));
    if (against.length > 0) {
      throw new Error(`run ${run} is invalid: ${against.join(", ")}`);
    }
    const values = Object.entries(record.values).filter(([metric]) => metrics.test(metric));
    runs.push({
      started: record.started,
      values: Object.fromEntries(values.map(([name, value]) => [name, Number(value?.toPrecision(6))])),
    });
  }
  const conditions = {
    what: "kv, 3 members, open arrival 300/s, put 1 to get 3, 500 keys of 128 B, 1 worker, seed 7, no fault; warm-up 3 s, measure 15 s; one deployed network, one run after the other",
    where: `target local: ${cpus().length} cores, kernel ${release()}, Node ${process.versions.node}`,
    noise: `nothing else was started; load average ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)} at the end of the runs`,
    recorded: `${runs[0]?.started} to ${runs.at(-1)?.started}`,
  };
  await writeFile(output, `${JSON.stringify({ conditions, runs }, null, 2)}\n`);
} finally {
  orrery("destroy", file, "--remove");
  await rm(folder, { recursive: true, force: true });
}
