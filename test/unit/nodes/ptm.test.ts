import { randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Agent, request } from "undici";
import { afterEach, expect, test } from "vitest";
import { memberPublicKey } from "../../../components/kubernetes/identity.ts";
import { readConfig } from "../../../nodes/ptm/config.ts";
import { closeEnvelope, openEnvelope } from "../../../nodes/ptm/envelope.ts";
import { memberKeys } from "../../../nodes/ptm/keys.ts";
import { forParty, hashOf, open, seal } from "../../../nodes/ptm/payload.ts";
import { groupKey, keyOf, PtmNetwork, type PtmProcess } from "../../support/ptm.ts";

let network: PtmNetwork | undefined;
afterEach(async () => {
  await network?.destroy();
  network = undefined;
});

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly problem: string;
}

async function ask(
  member: PtmProcess,
  method: "GET" | "POST" | "DELETE",
  path: string,
  headers: Record<string, string> = {},
  body?: Buffer | string,
): Promise<Answer> {
  const unix = member.nodeUrl.startsWith("unix:");
  const dispatcher = new Agent(unix ? { connect: { socketPath: member.nodeUrl.slice("unix:".length) } } : {});
  try {
    const base = unix ? "http://c" : member.nodeUrl;
    const answer = await request(`${base}${path}`, { method, headers, body: body ?? null, dispatcher });
    const problem = String(answer.headers["orrery-problem"] ?? "");
    return { status: answer.statusCode, body: Buffer.from(await answer.body.arrayBuffer()), problem };
  } finally {
    await dispatcher.close();
  }
}

const send = (member: PtmProcess, payload: Buffer, ...to: number[]): Promise<Answer> =>
  ask(member, "POST", "/sendraw", { "c11n-to": to.map(keyOf).join(",") }, payload);
const receive = (member: PtmProcess, hash: string): Promise<Answer> =>
  ask(member, "GET", "/receiveraw", { "c11n-key": hash });

async function damage(member: PtmProcess, hash: string): Promise<void> {
  const file = join(member.dataDir, "payloads", Buffer.from(hash, "base64").toString("hex"));
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace('"version":1', '"version":2'));
}

test("keys are those that the plan publishes", () => {
  const { publicKey } = memberKeys(groupKey, 3);
  expect(Buffer.from(publicKey).toString("hex")).toBe(memberPublicKey(groupKey, "ptm", 3));
});

test("a payload opens for its parties only, and only as it was sealed", () => {
  const [own, party, stranger] = [0, 1, 2].map((ordinal) => memberKeys(groupKey, ordinal));
  if (own === undefined || party === undefined || stranger === undefined) throw new Error("three members");
  const sealed = seal(Buffer.from("secret"), own, [keyOf(1)]);
  const copy = forParty(sealed, keyOf(1));
  expect(Buffer.from(open(copy, party)).toString()).toBe("secret");
  expect(Buffer.from(open(sealed, own)).toString()).toBe("secret");
  expect(copy.boxes.map((box) => box.party)).toEqual([keyOf(1)]);
  expect(() => open(sealed, stranger)).toThrow("not for this key");
  expect(() => open({ ...sealed, sender: keyOf(2) }, party)).toThrow("another sender");
  const altered = Buffer.from(sealed.cipherText, "base64");
  altered[0] = (altered[0] ?? 0) ^ 1;
  expect(() => open({ ...sealed, cipherText: altered.toString("base64") }, party)).toThrow("was altered");
  expect(Buffer.from(hashOf(sealed), "base64")).toHaveLength(64);
});

test("constellation mode: two parties read a payload, the third does not", async () => {
  network = await PtmNetwork.create(3, "constellation");
  const [first, second, third] = [0, 1, 2].map((ordinal) => (network as PtmNetwork).member(ordinal));
  if (first === undefined || second === undefined || third === undefined) throw new Error("three members");
  expect((await ask(first, "GET", "/upcheck")).body.toString()).toBe("I'm up!");
  expect((await ask(first, "GET", "/version")).status).toBe(404); // so that GoQuorum takes it for Constellation

  const payload = randomBytes(5_000);
  const sent = await send(first, payload, 1);
  const hash = sent.body.toString();
  expect(sent.status, sent.problem).toBe(200);
  expect(Buffer.from(hash, "base64")).toHaveLength(64);
  expect((await receive(first, hash)).body).toEqual(payload);
  expect((await receive(second, hash)).body).toEqual(payload);
  expect((await receive(third, hash)).status).toBe(404);
  expect(await readdir(join(third.dataDir, "payloads"))).toEqual([]);

  const json = JSON.stringify({ payload: payload.toString("base64"), to: [keyOf(2)] });
  const { key } = JSON.parse((await ask(second, "POST", "/send", {}, json)).body.toString());
  expect((await receive(third, key)).body).toEqual(payload);
  expect((await receive(first, key)).status).toBe(404);

  await damage(second, key);
  const damaged = await receive(second, key);
  expect(damaged.status).toBe(500);
  expect(damaged.problem).toContain("damaged: its checksum does not match");
  expect((await receive(third, key)).body).toEqual(payload);

  expect((await ask(second, "POST", "/delete", {}, JSON.stringify({ key: hash }))).status).toBe(200);
  expect((await receive(second, hash)).status).toBe(404);
  expect(first.log).toContain("stand-in");
  expect(first.log + second.log + third.log).not.toContain(groupKey);
});

test("tessera mode: what GoQuorum's client calls", async () => {
  network = await PtmNetwork.create(2, "tessera");
  const [first, second] = network.members;
  if (first === undefined || second === undefined) throw new Error("two members");
  expect((await ask(first, "GET", "/version")).body.toString()).toContain("stand-in");
  expect(JSON.parse((await ask(first, "GET", "/version/api")).body.toString())).toEqual(["1.0"]);

  const payload = randomBytes(100).toString("base64");
  const stored = await ask(first, "POST", "/storeraw", {}, JSON.stringify({ payload }));
  const { key } = JSON.parse(stored.body.toString()) as { key: string };
  const path = `/transaction/${encodeURIComponent(key)}`;
  expect((await ask(second, "GET", `${path}?isRaw=false`)).status).toBe(404);
  const raw = JSON.parse((await ask(first, "GET", `${path}?isRaw=true`)).body.toString());
  expect(raw).toMatchObject({ payload, senderKey: keyOf(0) });

  const signed = await ask(first, "POST", "/sendsignedtx", { "c11n-to": keyOf(1) }, Buffer.from(key, "base64"));
  expect(signed.body.toString()).toBe(key);
  const received = JSON.parse((await ask(second, "GET", `${path}?isRaw=false`)).body.toString());
  expect(received).toMatchObject({ payload, senderKey: keyOf(0), managedParties: [keyOf(1)], privacyFlag: 0 });
  expect((await ask(first, "GET", `${path}/isSender`)).body.toString()).toBe("true");
  expect((await ask(second, "GET", `${path}/isSender`)).body.toString()).toBe("false");
  expect((await ask(first, "GET", `${path}/participants`)).body.toString().split(",").sort()).toEqual(
    [keyOf(0), keyOf(1)].sort(),
  );
  const unknown = await ask(second, "POST", "/sendsignedtx", { "c11n-to": keyOf(0) }, Buffer.from(key, "base64"));
  expect(unknown.status, "only its sender can name further parties").toBe(404);
});

test("clients put payloads in and get none out; health and metrics", async () => {
  network = await PtmNetwork.create(2, "constellation");
  const first = network.member(0);
  const ask = async (path: string, init?: RequestInit) => await fetch(`${first.clientUrl}${path}`, init);
  const sent = await ask("/sendraw", { method: "POST", body: "payload", headers: { "c11n-to": keyOf(1) } });
  const hash = await sent.text();
  expect((await receive(network.member(1), hash)).body.toString()).toBe("payload");
  expect((await ask("/receiveraw", { headers: { "c11n-key": hash } })).status).toBe(404);
  expect((await ask("/readyz")).status).toBe(200);
  const metrics = await (await ask("/metrics")).text();
  expect(metrics).toContain('orrery_ptm_push_total{outcome="stored"} 1');
  expect(metrics).toContain("orrery_ptm_payloads 1");
});

test("unknown and malformed keys, and members that are gone, are said", async () => {
  network = await PtmNetwork.create(2, "constellation", false);
  const first = network.member(0);
  await first.start({ PTM_PUSH_LIMIT_MS: "300" });
  const unknown = await send(first, Buffer.from("payload"), 5);
  expect(unknown).toMatchObject({ status: 400 });
  expect(unknown.problem).toContain(`no member has the public key ${keyOf(5)}`);
  const malformed = await ask(first, "POST", "/sendraw", { "c11n-to": "AAAA" }, "payload");
  expect(malformed).toMatchObject({ status: 400, problem: '"AAAA" is no public key: 32 bytes in base64' });
  const gone = await send(first, Buffer.from("payload"), 1);
  expect(gone.status).toBe(503);
  expect(gone.problem).toMatch(/^member 1 at http:\/\/127.0.0.1:\d+ did not take the payload within 300 ms: /);
  expect((await ask(first, "POST", "/sendraw", { "c11n-from": keyOf(1) }, "payload")).problem).toContain(
    "sent from this member's key only",
  );
  expect((await ask(first, "POST", "/sendraw", {}, "")).problem).toContain("empty");
});

test("a member that joins later is found, and one that comes back is waited for", async () => {
  network = await PtmNetwork.create(2, "constellation", false);
  const [first, second] = network.members;
  if (first === undefined || second === undefined) throw new Error("two members");
  await network.writePeers(1);
  await first.start({ PTM_PUSH_LIMIT_MS: "60000" });
  expect((await send(first, Buffer.from("payload"), 1)).status).toBe(400);
  await network.writePeers(2);
  const waiting = send(first, Buffer.from("payload"), 1);
  await second.start();
  const sent = await waiting;
  expect(sent.status, sent.problem).toBe(200);
  expect((await receive(second, sent.body.toString())).body.toString()).toBe("payload");
});

test("what was acknowledged survives kill -9 of everybody; SIGTERM ends with 0", async () => {
  network = await PtmNetwork.create(2, "constellation");
  const [first, second] = network.members;
  if (first === undefined || second === undefined) throw new Error("two members");
  const acknowledged = new Map<string, Buffer>();
  const senders = Array.from({ length: 8 }, async () => {
    for (;;) {
      const payload = randomBytes(2_000);
      const sent = await send(first, payload, 1).catch(() => undefined);
      if (sent?.status !== 200) return;
      acknowledged.set(sent.body.toString(), payload);
      if (acknowledged.size === 20) {
        await Promise.all([first.end("SIGKILL"), second.end("SIGKILL")]);
      }
    }
  });
  await Promise.all(senders);
  await writeFile(join(second.dataDir, "payloads", "00.part"), "half");
  await Promise.all([first.start(), second.start()]);
  expect(acknowledged.size).toBeGreaterThanOrEqual(20);
  for (const [hash, payload] of acknowledged) {
    expect((await receive(first, hash)).body).toEqual(payload);
    expect((await receive(second, hash)).body).toEqual(payload);
  }
  expect((await readdir(join(second.dataDir, "payloads"))).filter((name) => name.endsWith(".part"))).toEqual([]);
  expect(await first.end("SIGTERM")).toBe(0);
});

test("members authenticate each other: strangers, forgeries and replays are refused", async () => {
  network = await PtmNetwork.create(2, "constellation");
  const url = `http://127.0.0.1:${network.peerPorts[1]}/v1/push`;
  const push = async (envelope: unknown) => {
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(envelope) });
    return { status: answer.status, text: await answer.text() };
  };
  const [own, stranger] = [memberKeys(groupKey, 0), memberKeys("99".repeat(32), 0)];
  const sealed = forParty(seal(Buffer.from("payload"), own, [keyOf(1)]), keyOf(1));

  const genuine = closeEnvelope("push", sealed, own, keyOf(1));
  const taken = await push(genuine);
  expect(taken.status, taken.text).toBe(200);
  expect(openEnvelope("stored", JSON.parse(taken.text), own)).toMatchObject({ stored: hashOf(sealed) });
  expect(await push(genuine)).toMatchObject({ status: 409, text: expect.stringContaining("replay") });

  const foreign = closeEnvelope("push", sealed, stranger, keyOf(1));
  expect(await push(foreign)).toMatchObject({ status: 401, text: expect.stringContaining("no member has") });
  const forged = { ...foreign, from: keyOf(0) };
  expect(await push(forged)).toMatchObject({ status: 401, text: expect.stringContaining("not by the holder") });
  const answer = closeEnvelope("stored", sealed, own, keyOf(1));
  expect(await push(answer)).toMatchObject({ status: 401, text: expect.stringContaining("where a push") });
  const ofAnother = { ...sealed, sender: keyOf(1) };
  expect((await push(closeEnvelope("push", ofAnother, own, keyOf(1)))).status).toBe(401);
  expect(await readdir(join(network.member(1).dataDir, "payloads"))).toHaveLength(1);
});

test.each([
  [{ PTM_NODE_ADDR: "127.0.0.1:0" }, "unix socket only"],
  [{ PTM_MODE: "other" }, "PTM_MODE"],
  [{ PTM_POD_NAME: "node-7" }, "member 7 is not listed"],
  [{ PTM_GROUP_KEY_FILE: "/dev/null" }, "64 hex digits"],
])("a configuration that cannot work is refused: %o", async (environment, problem) => {
  network = await PtmNetwork.create(1, "constellation", false);
  const whole = { ...network.member(0).environment, ...environment };
  await expect(readConfig(whole)).rejects.toThrow(problem);
});

test("a process that cannot start says why, once, and ends with 3", async () => {
  network = await PtmNetwork.create(1, "constellation", false);
  await expect(network.member(0).start({ PTM_POD_NAME: "node-7" })).rejects.toThrow("member 7 is not listed");
  expect(await network.member(0).end("SIGKILL")).toBe(3);
});
