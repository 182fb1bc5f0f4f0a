import { readFile, writeFile } from "node:fs/promises";
import { exec } from "../local/toolchain/exec.ts";

/**
 * Records what real tools answer, in place of fixtures written from documentation: `node scripts/record-fixtures.ts
 * minikube|docker`. Makes a minikube profile of its own and deletes it; answers of failures (a full disk, a stopped
 * engine) cannot be provoked safely and stay as they are.
 */
const profile = "orrery-fixtures";
const recordings: Readonly<Record<string, readonly (readonly [name: string, args: readonly string[]])[]>> = {
  docker: [["info", ["info", "--format", "{{json .}}"]]],
  minikube: [
    ["version", ["version", "--output=json"]],
    ["start", ["start", `--profile=${profile}`, "--driver=docker", "--output=json"]],
    ["profiles-running", ["profile", "list", "--output=json"]],
    ["addons-enable", ["addons", "enable", "ingress", `--profile=${profile}`]],
    ["addons", ["addons", "list", "--output=json", `--profile=${profile}`]],
    ["images-none", ["image", "ls", "--format=json", `--profile=${profile}`]],
    ["delete", ["delete", `--profile=${profile}`]],
  ],
};
const versionArgs: Readonly<Record<string, readonly string[]>> = {
  docker: ["version", "--format", "{{.Server.Version}}"],
  minikube: ["version", "--short"],
};

const [tool = ""] = process.argv.slice(2);
const plan = recordings[tool];
const asksVersion = versionArgs[tool];
if (plan === undefined || asksVersion === undefined) {
  process.stderr.write(`usage: node scripts/record-fixtures.ts ${Object.keys(recordings).join("|")}\n`);
  process.exit(3);
}
const file = `test/fixtures/${tool}/answers.json`;
const answers = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
const version = (await exec(tool, asksVersion)).stdout.trim();
for (const [name, args] of plan) {
  process.stderr.write(`${tool} ${args.join(" ")}\n`);
  const { code, stdout, stderr } = await exec(tool, args);
  const own = (text: string) => text.replaceAll(profile, "orrery");
  answers[name] = { source: `recorded: ${tool} ${version}`, args, code, stdout: own(stdout), stderr: own(stderr) };
}
await writeFile(file, `${JSON.stringify(answers, null, 2)}\n`);
