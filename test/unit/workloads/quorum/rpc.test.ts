import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NodeRpc } from "../../../../workloads/quorum/rpc.ts";

/** A node that answers every batch at once, but one with a call of `held`, which waits. */
let server: Server;
let held: ServerResponse | undefined;
let rpc: NodeRpc;

beforeEach(async () => {
  held = undefined;
  server = createServer(async (request, response) => {
    const [call] = JSON.parse(Buffer.concat(await request.toArray()).toString());
    if (call.method === "held") held = response;
    else response.end(JSON.stringify([{ id: call.id, result: "soon" }]));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  rpc = new NodeRpc({ group: "node", ordinal: 0, pod: "quorum-0", url });
});

afterEach(async () => {
  await rpc.close();
  server.closeAllConnections();
  server.close();
});

const minuteMs = 60_000;

/** Makes the call that waits; whatever is asked from then on is another batch. */
async function hold(limitMs: number, patienceMs: number): Promise<{ readonly answer: Promise<unknown> }> {
  const answer = rpc.call("held", [], limitMs, patienceMs);
  answer.catch(() => undefined); // looked at later
  while (held === undefined) await sleep(5);
  return { answer };
}

test("a node that answers others is waited for beyond the limit, since it is slow and not gone", async () => {
  const limitMs = 3_000; // no machine is so busy that the others take as long
  const { answer } = await hold(limitMs, minuteMs);
  for (const endMs = performance.now() + 1.5 * limitMs; performance.now() < endMs; await sleep(50)) {
    expect(await rpc.call("other", [], minuteMs)).toBe("soon");
  }
  held?.end(JSON.stringify([{ id: 1, result: "late" }]));
  expect(await answer).toBe("late");
});

test("a node that answers nobody is given up at the limit, however patient the caller", async () => {
  await expect(rpc.call("held", [], 100, minuteMs)).rejects.toMatchObject({ timedOut: true, sent: true });
});

test("patience ends too", async () => {
  const { answer } = await hold(minuteMs, 500);
  await expect(answer).rejects.toMatchObject({ timedOut: true });
});
