import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { download } from "../../../local/toolchain/download.ts";
import { NetworkError } from "../../../local/toolchain/network.ts";
import { silentProgress } from "../../../local/toolchain/progress.ts";
import { publishedDigest } from "../../../local/toolchain/release.ts";
import { recordProgress, serve, temporaryFolder } from "./support.ts";

const content = randomBytes(400_000);
const sha256 = createHash("sha256").update(content).digest("hex");

/** Serves the content with ranges; the connection is cut behind `cutAfter` bytes as long as there are cuts left. */
function fileServer(options: { cuts: number; cutAfter: number; ranges?: boolean }) {
  const asked: (string | undefined)[] = [];
  let cuts = options.cuts;
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    asked.push(request.headers.range);
    const from = options.ranges === false ? 0 : Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const rest = content.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, { "content-length": rest.length });
    if (cuts-- > 0) response.write(rest.subarray(0, options.cutAfter), () => setTimeout(() => response.destroy(), 20));
    else response.end(rest);
  };
  return { asked, answer };
}

describe("download", () => {
  test("goes on behind what has come when the connection breaks", async () => {
    const server = fileServer({ cuts: 2, cutAfter: 100_000 });
    const url = `${await serve(server.answer)}/file.bin`;
    const path = join(await temporaryFolder(), "file.bin");
    const { progress, events, steps } = recordProgress();
    await download({ url, path, sha256, progress });
    expect(server.asked).toEqual([undefined, "bytes=100000-", "bytes=200000-"]);
    expect(events).toEqual(["start download file.bin", "done download file.bin"]);
    expect(steps.at(-1)).toMatchObject({ total: 400_000, unit: "bytes" });
  });

  test("goes on with what an earlier process left", async () => {
    const server = fileServer({ cuts: 0, cutAfter: 0 });
    const url = `${await serve(server.answer)}/file.bin`;
    const path = join(await temporaryFolder(), "file.bin");
    await writeFile(path, content.subarray(0, 123_456));
    await download({ url, path, sha256, progress: silentProgress });
    expect(server.asked).toEqual(["bytes=123456-"]);
    expect((await readFile(path)).equals(content)).toBe(true);
  });

  test("an aborted download keeps what has come", async () => {
    const server = fileServer({ cuts: 1, cutAfter: 50_000 });
    const controller = new AbortController();
    const url = `${await serve((request, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 50_000), () => setTimeout(() => controller.abort(), 50));
      server.asked.push(request.headers.range);
    })}/file.bin`;
    const path = join(await temporaryFolder(), "file.bin");
    const aborted = download({ url, path, sha256, progress: silentProgress, signal: controller.signal });
    await expect(aborted).rejects.toThrow(/abort/i);
    expect((await stat(path)).size).toBe(50_000);
  });

  test("a wrong beginning is thrown away and the file fetched anew, once", async () => {
    const server = fileServer({ cuts: 0, cutAfter: 0 });
    const url = `${await serve(server.answer)}/file.bin`;
    const path = join(await temporaryFolder(), "file.bin");
    await writeFile(path, randomBytes(1000));
    await download({ url, path, sha256, progress: silentProgress });
    expect(server.asked).toEqual(["bytes=1000-", undefined]);
  });

  test("a server without ranges sends everything again", async () => {
    const server = fileServer({ cuts: 1, cutAfter: 100_000, ranges: false });
    const url = `${await serve(server.answer)}/file.bin`;
    const path = join(await temporaryFolder(), "file.bin");
    await download({ url, path, sha256, progress: silentProgress });
    expect((await readFile(path)).equals(content)).toBe(true);
  });

  test("a file that is not what was announced is removed and reported with both digests", async () => {
    const server = fileServer({ cuts: 0, cutAfter: 0 });
    const url = `${await serve(server.answer)}/file.bin`;
    const path = join(await temporaryFolder(), "file.bin");
    const wrong = download({ url, path, sha256: "0".repeat(64), progress: silentProgress });
    await expect(wrong).rejects.toThrow(new RegExp(`${sha256}.*0{64}`));
    expect(existsSync(path)).toBe(false);
  });

  test("a status other than success is an error of the network", async () => {
    const url = `${await serve((_, response) => response.writeHead(404).end())}/file.bin`;
    const path = join(await temporaryFolder(), "file.bin");
    const failed = download({ url, path, sha256, progress: silentProgress });
    await expect(failed).rejects.toBeInstanceOf(NetworkError);
  });
});

test.each([
  ["a bare digest", `${sha256}\n`, sha256],
  ["one line of several", `${"a".repeat(64)}  other\n${sha256}  file.bin\n`, sha256],
  ["a binary-mode line with a path", `${sha256} *dist/file.bin\n`, sha256],
  ["GitHub's description", JSON.stringify({ assets: [{ name: "file.bin", digest: `sha256:${sha256}` }] }), sha256],
  ["a list without the file", `${"a".repeat(64)}  other\n`, undefined],
  ["an error page", "<html>sign in</html>", undefined],
])("the digest is found in %s", (_, text, expected) => {
  expect(publishedDigest(text, "file.bin")).toBe(expected);
});
