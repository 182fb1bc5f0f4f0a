import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { accountsFrom } from "../../../nodes/racecourse/accounts.ts";
import { Course, type Snapshot } from "../../../nodes/racecourse/course.ts";
import { type RunningServer, startServer } from "../../../nodes/racecourse/server.ts";
import { settingsFrom } from "../../../nodes/racecourse/settings.ts";
import { type Chain, startChain } from "../../support/chain.ts";

const key = "cd".repeat(32);
const accounts = accountsFrom(key, 2);

describe("the server of the racecourse", () => {
  let chain: Chain;
  let course: Course;
  let server: RunningServer;
  let origin: string;

  async function serve(): Promise<{ course: Course; server: RunningServer; origin: string }> {
    const started = new Course({ nodes: [chain.url, "http://127.0.0.1:9"], accounts, pollMs: 50 });
    started.start();
    const running = await startServer(started, 0);
    return { course: started, server: running, origin: `http://127.0.0.1:${running.port}` };
  }

  const post = async (path: string, body: unknown, headers: Record<string, string> = {}, to = origin) => {
    const response = await fetch(`${to}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  /** Resolves with the first state sent on a connection of its own that suits. */
  function stateWhere(suits: (state: Snapshot) => boolean, to = origin): Promise<Snapshot> {
    const socket = new WebSocket(`${to.replace("http", "ws")}/live`);
    return new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("message", (data) => {
        const state = JSON.parse(String(data)) as Snapshot;
        if (!suits(state)) return;
        socket.close();
        resolve(state);
      });
    });
  }

  beforeAll(async () => {
    chain = await startChain();
    ({ course, server, origin } = await serve());
    await stateWhere(({ race }) => race !== undefined);
  });
  afterAll(async () => {
    await Promise.all([server?.close(), course?.stop()]);
    await chain?.stop();
  });

  test("puts the race on the chain and tells what it knows of each node", async () => {
    const state = await stateWhere(({ nodes }) => nodes.some(({ up }) => up));
    expect(state.horses).toHaveLength(5);
    expect(state.race).toMatchObject({ race: 0 });
    expect(state.nodes).toMatchObject([
      { up: true, client: expect.stringContaining("anvil"), height: expect.any(Number) },
      { up: false, problem: expect.stringContaining("does not answer") },
    ]);
    expect((await fetch(`${origin}/readyz`)).status).toBe(200);
  });

  test("plays a race to its winner for two readers, and each is told all of it", async () => {
    const { race: before = { race: 0 } } = await stateWhere(() => true);
    const race = before.race + 1;
    const readers = [1, 2].map(() => stateWhere((state) => state.race?.race === race && state.race.finished));
    expect(await post("/api/bets", { player: 0, horse: 3, amount: 10 })).toMatchObject({
      status: 201,
      body: { transaction: expect.stringMatching(/^0x/), block: expect.any(Number) },
    });
    expect((await post("/api/bets", { player: 1, horse: 1, amount: 20 })).status).toBe(201);
    expect(await post("/api/bets", { player: 1, horse: 1, amount: 20 })).toEqual({
      status: 409,
      body: { error: `The player has a bet on race ${race} already.` },
    });
    for (const player of [0, 1]) expect((await post("/api/ready", { player })).status).toBe(200);
    for (const state of await Promise.all(readers)) {
      const winner = state.race?.winner ?? -1;
      expect(state.happenings).toContainEqual(expect.objectContaining({ kind: "RaceFinished", race, horse: winner }));
    }
  });

  test("takes no bet that is not one, and none from a page of elsewhere", async () => {
    const bet = { player: 0, horse: 0, amount: 1 };
    expect((await post("/api/bets", { ...bet, amount: 1.5 })).status).toBe(400);
    expect((await post("/api/bets", { ...bet, player: 40 })).status).toBe(400);
    expect((await post("/api/bets", bet, { "content-type": "text/plain" })).status).toBe(400);
    expect((await post("/api/bets", bet, { origin: "http://elsewhere.example" })).status).toBe(400);
    const socket = new WebSocket(`${origin.replace("http", "ws")}/live`, { origin: "http://elsewhere.example" });
    await expect(new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject))).rejects.toThrow(
      "403",
    );
  });

  test("shows nobody a private key", async () => {
    const text = course.text + (await (await fetch(`${origin}/api/state`)).text());
    for (const { privateKey } of [accounts.deployer, ...accounts.players]) {
      expect(text).not.toContain(privateKey.slice(2));
    }
    expect(text).not.toContain(key);
  });

  test("shares the race with a replica that has the same key", async () => {
    const other = await serve();
    try {
      const mine = await stateWhere(({ contract }) => contract !== undefined);
      const its = await stateWhere(({ contract }) => contract !== undefined, other.origin);
      expect(its.contract).toBe(mine.contract);
      const race = (mine.race?.race ?? 0) + 1;
      expect((await post("/api/bets", { player: 1, horse: 2, amount: 5 }, {}, other.origin)).status).toBe(201);
      expect(await stateWhere((state) => state.race?.race === race)).toMatchObject({ race: { bets: [{ amount: 5 }] } });
      expect((await post("/api/ready", { player: 1 })).status).toBe(200);
    } finally {
      await Promise.all([other.server.close(), other.course.stop()]);
    }
  });

  test("says that the nodes are away, keeps what was known, and goes on when they are back", async () => {
    const known = await stateWhere(({ race }) => race !== undefined);
    const port = Number(new URL(chain.url).port);
    await chain.stop();
    const away = await stateWhere(({ problem }) => problem !== undefined);
    expect(away).toMatchObject({ problem: "No node of the network answers. Trying again.", race: known.race });
    expect(await post("/api/ready", { player: 0 })).toMatchObject({ status: 503 });
    chain = await startChain({ port }); // a new chain, where the race has to be put anew
    const back = await stateWhere(({ problem, race }) => problem === undefined && race !== undefined);
    expect(back).toMatchObject({ contract: known.contract, race: { race: 0 }, happenings: [] });
    expect((await post("/api/bets", { player: 0, horse: 0, amount: 1 })).status).toBe(201);
  });
});

describe("what the server is told at its start", () => {
  test("is read from the environment, with defaults", () => {
    expect(settingsFrom({ RACECOURSE_NODES: "http://a:8545, http://b:8545", RACECOURSE_KEY_FILE: "/k" })).toEqual({
      nodes: ["http://a:8545", "http://b:8545"],
      keyFile: "/k",
      players: 4,
      port: 3000,
      pollMs: 500,
    });
  });

  test.each([
    [{ RACECOURSE_KEY_FILE: "/k" }, "RACECOURSE_NODES"],
    [{ RACECOURSE_NODES: "node-0:8545", RACECOURSE_KEY_FILE: "/k" }, "is no http"],
    [{ RACECOURSE_NODES: "http://a" }, "RACECOURSE_KEY_FILE"],
  ])("is refused where it is wrong: %j", (environment, words) => {
    expect(() => settingsFrom(environment)).toThrow(words);
  });

  test("names no part of a key that is wrong", () => {
    expect(() => accountsFrom("secret-but-short", 1)).toThrow(/^(?!.*secret-but-short)/);
  });
});
