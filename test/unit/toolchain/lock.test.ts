import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { exec } from "../../../local/toolchain/exec.ts";
import { withLock } from "../../../local/toolchain/lock.ts";
import { temporaryFolder } from "./support.ts";

const lockModule = fileURLToPath(new URL("../../../local/toolchain/lock.ts", import.meta.url));

/** A program that adds one to the number in a file `times` times, each in a way that loses counts without a lock. */
const counter = (lock: string, file: string, times: number) => `
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { withLock } from ${JSON.stringify(lockModule)};
for (let i = 0; i < ${times}; i++) {
  await withLock(${JSON.stringify(lock)}, async () => {
    const before = Number(readFileSync(${JSON.stringify(file)}, "utf8"));
    await sleep(5);
    writeFileSync(${JSON.stringify(file)}, String(before + 1));
  });
}`;

test("processes exclude each other", async () => {
  const folder = await temporaryFolder();
  const lock = join(folder, "locks", "tool");
  const file = join(folder, "count");
  await writeFile(file, "0");
  const code = counter(lock, file, 10);
  const results = await Promise.all(
    [1, 2, 3].map(() => exec(process.execPath, ["--input-type=module-typescript", "--eval", code])),
  );
  expect(results.map((result) => result.stderr.replace(/.*Warning.*\n?/g, ""))).toEqual(["", "", ""]);
  expect(await readFile(file, "utf8")).toBe("30");
  expect(await readdir(join(folder, "locks"))).toEqual([]);
}, 30_000);

test("the lock of a process that was killed is taken over by exactly one at a time", async () => {
  const folder = await temporaryFolder();
  const lock = join(folder, "tool");
  const code = `
    import { withLock } from ${JSON.stringify(lockModule)};
    await withLock(${JSON.stringify(lock)}, () => { console.log("held"); return new Promise(() => setInterval(() => {}, 1000)); });`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", code], { stdio: "pipe" });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exited;
  expect(existsSync(lock)).toBe(true);
  let inside = 0;
  let most = 0;
  const enter = () =>
    withLock(lock, async () => {
      most = Math.max(most, ++inside);
      await sleep(5);
      inside--;
    });
  await Promise.all(Array.from({ length: 8 }, enter));
  expect(most).toBe(1);
  expect(existsSync(lock)).toBe(false);
}, 30_000);

test("waiting says for whom and ends with the signal", async () => {
  const lock = join(await temporaryFolder(), "tool");
  const waited: number[] = [];
  await withLock(lock, async () => {
    const signal = AbortSignal.timeout(250);
    const second = withLock(lock, async () => {}, { signal, onWait: (pid) => waited.push(pid) });
    await expect(second).rejects.toThrow();
  });
  expect(waited).toEqual([process.pid]);
});

test("an error of the body frees the lock", async () => {
  const lock = join(await temporaryFolder(), "tool");
  const failing = withLock(lock, () => Promise.reject(new Error("body")));
  await expect(failing).rejects.toThrow("body");
  await expect(withLock(lock, async () => "free")).resolves.toBe("free");
});
