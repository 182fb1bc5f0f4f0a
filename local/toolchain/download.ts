import { type FileHandle, mkdir, open, rm, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Response } from "undici";
import { EnvironmentError } from "../../schema/errors.ts";
import { sha256Of } from "./cache.ts";
import { get, NetworkError } from "./network.ts";
import { Eta, type Progress } from "./progress.ts";

const attempts = 4;

/** What to download. */
export interface Download {
  readonly url: string;
  /** The file to write; what an earlier attempt left in it is continued. */
  readonly path: string;
  readonly sha256: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Downloads a file and checks it. A download that broke off, in this process or an earlier one, goes on behind the
 * bytes that are there.
 *
 * @throws NetworkError when the file cannot be had; what has come stays for the next attempt
 * @throws EnvironmentError when the content is not what was announced; the file is removed
 */
export async function download(request: Download): Promise<void> {
  const task = `download ${basename(new URL(request.url).pathname)}`;
  await mkdir(dirname(request.path), { recursive: true });
  request.progress.start(task, { unit: "bytes" });
  try {
    const resumed = await sizeOf(request.path);
    await transfer(request, task);
    if ((await sha256Of(request.path)) !== request.sha256 && resumed > 0) {
      // What was continued may have been the beginning of another file.
      await rm(request.path);
      await transfer(request, task);
    }
    const found = await sha256Of(request.path);
    if (found !== request.sha256) {
      await rm(request.path);
      throw new EnvironmentError(
        `${request.url} has SHA-256 ${found}, expected was ${request.sha256}; the file was removed.`,
        "Try again. If it stays so, something between here and the server changes files: set ORRERY_OFFLINE=1 to build from source.",
      );
    }
  } catch (error) {
    request.progress.fail(task, (error as Error).message);
    throw error;
  }
  request.progress.done(task);
}

/** Tries a few times, each behind what has come so far. */
async function transfer(request: Download, task: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await continueTransfer(request, task);
      return;
    } catch (error) {
      request.signal?.throwIfAborted();
      if (!(error instanceof NetworkError) || !error.isPassing || attempt === attempts) throw error;
      await sleep(250 * attempt, undefined, request.signal === undefined ? {} : { signal: request.signal });
    }
  }
}

async function continueTransfer(request: Download, task: string): Promise<void> {
  const have = await sizeOf(request.path);
  const headers: Record<string, string> = have > 0 ? { range: `bytes=${have}-` } : {};
  const response = await get(request.url, headers, request.signal);
  if (response.status === 416) {
    // Everything is there already, or the file became shorter: the digest tells which.
    await response.body?.cancel();
    return;
  }
  if (response.status !== 200 && response.status !== 206) {
    await response.body?.cancel();
    const isPassing = response.status >= 500 || response.status === 429;
    throw new NetworkError(`${request.url} answers ${response.status} ${response.statusText}`, { isPassing });
  }
  const offset = response.status === 206 ? have : 0;
  const file = await open(request.path, offset > 0 ? "a" : "w");
  try {
    await copyBody(response, file, offset, request, task);
  } finally {
    await file.close();
  }
}

async function copyBody(
  response: Response,
  file: FileHandle,
  offset: number,
  request: Download,
  task: string,
): Promise<void> {
  const length = response.headers.get("content-length");
  const total = length === null ? undefined : offset + Number(length);
  const eta = new Eta(offset);
  let done = offset;
  let reported = 0;
  if (response.body === null) throw new NetworkError(`${request.url} answers without a body`);
  try {
    for await (const chunk of response.body) {
      await file.writeFile(chunk);
      done += chunk.byteLength;
      if (Date.now() - reported < 200) continue;
      reported = Date.now();
      const etaMs = total === undefined ? undefined : eta.left(done, total);
      request.progress.update(task, { done, total, unit: "bytes", etaMs });
    }
  } catch (error) {
    request.signal?.throwIfAborted();
    throw new NetworkError(`${request.url} broke off after ${done} bytes: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (total !== undefined && done < total) {
    throw new NetworkError(`${request.url} ended after ${done} of ${total} bytes`);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
