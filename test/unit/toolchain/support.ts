import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { OrreryHome } from "../../../local/toolchain/home.ts";
import type { Progress, ProgressStep } from "../../../local/toolchain/progress.ts";

/** A folder that goes when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "orrery-toolchain-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A home that goes when the test ends. */
export async function temporaryHome(): Promise<OrreryHome> {
  return new OrreryHome({ root: join(await temporaryFolder(), "home") });
}

/** Writes a shell script that can be executed. */
export async function writeProgram(path: string, body: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

/** A server on the loopback address that goes when the test ends. */
export async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A port on which nothing listens. */
export async function closedOrigin(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** Records what was reported. */
export interface Recorded {
  readonly progress: Progress;
  readonly events: string[];
  readonly steps: ProgressStep[];
}

export function recordProgress(): Recorded {
  const events: string[] = [];
  const steps: ProgressStep[] = [];
  const progress: Progress = {
    start: (task) => events.push(`start ${task}`),
    update: (_, step) => steps.push(step),
    done: (task) => events.push(`done ${task}`),
    fail: (task) => events.push(`fail ${task}`),
    note: (message) => events.push(`note ${message}`),
  };
  return { progress, events, steps };
}
