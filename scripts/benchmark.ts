import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Times the steps a user waits for, on the local cluster of this ORRERY_HOME, and prints them beside their targets.
 * Nothing is asserted: the figures depend on the machine and on what else it does. Tools and images must be there.
 */
const project = fileURLToPath(new URL("..", import.meta.url));
const cli = join(project, "cli", "orrery.js");
const experiment = join(project, "examples", "kv.yaml");
const results = await mkdtemp(join(tmpdir(), "orrery-benchmark-"));

interface Measured {
  readonly step: string;
  readonly seconds: number;
  readonly target: string;
}
const measured: Measured[] = [];

function timed(
  step: string,
  target: string,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { readonly stdout: string; readonly stderr: string } {
  const began = performance.now();
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: project,
    env: { ...process.env, ...env, CI: "true" },
    encoding: "utf8",
  });
  measured.push({ step, seconds: (performance.now() - began) / 1000, target });
  if (status !== 0) {
    throw new Error(`${step}: exit code ${status}\n${stderr}`);
  }
  return { stdout, stderr };
}

const orrery = (step: string, target: string, ...args: string[]) =>
  timed(step, target, process.execPath, [cli, ...args]);

try {
  orrery("local down", "–", "local", "down");
  orrery("local up, data there", "20 s", "local", "up");
  const run = orrery(
    "run: command to verdict, 37 s of it load",
    "90 s",
    "run",
    experiment,
    "--results",
    resolve(results),
  );
  const deployed = /have met, (.+) after/.exec(run.stderr)?.[1] ?? "?";
  const env = JSON.parse(orrery("orrery env", "–", "env", "--json").stdout) as NodeJS.ProcessEnv;
  timed("pulumi preview, no change", "3 s", "pulumi", ["preview", "--stack", "kv-local", "--expect-no-changes"], env);
  orrery("destroy", "15 s", "destroy", experiment);
  console.log(
    `${cpus().length} cores, ${cpus()[0]?.model ?? "unknown CPU"}; deployed ${deployed} after pulumi up began (target 20 s)`,
  );
  for (const { step, seconds, target } of measured) {
    console.log(`${step.padEnd(44)} ${seconds.toFixed(1).padStart(6)} s   target ${target}`);
  }
} finally {
  await rm(results, { recursive: true, force: true });
}
