import { AbiCoder, keccak256, type Wallet } from "ethers";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { accountsFrom } from "../../../nodes/racecourse/accounts.ts";
import {
  findContract,
  minedIn,
  Refused,
  readHappenings,
  readPoints,
  readStanding,
  sendCall,
  sendContract,
} from "../../../nodes/racecourse/contract.ts";
import { hexBytes, JsonRpc } from "../../../nodes/racecourse/rpc.ts";
import { type Chain, startChain } from "../../support/chain.ts";

const accounts = accountsFrom("ab".repeat(32), 3);
const [first, second, third] = accounts.players as [Wallet, Wallet, Wallet];
const blockSchema = z.object({ number: hexBytes, hash: hexBytes });

describe("the contract of the racecourse, on a real EVM", () => {
  let chain: Chain;
  let rpc: JsonRpc;
  let contract: string;
  let fresh: unknown;

  beforeAll(async () => {
    chain = await startChain();
    rpc = new JsonRpc(chain.url, 20_000);
    await sendContract(rpc, accounts.deployer);
    contract = (await findContract(rpc, accounts.deployer.address)) ?? "";
  });
  afterAll(() => chain?.stop());
  beforeEach(async () => {
    if (fresh !== undefined) await chain.call("evm_revert", fresh);
    fresh = await chain.call("evm_snapshot");
  });

  const done = async (transaction: Promise<string>) => await minedIn(rpc, await transaction);
  const bet = (player: Wallet, horse: number, amount: number) =>
    done(sendCall(rpc, player, contract, "placeBet", [horse, amount]));
  const ready = (player: Wallet) => done(sendCall(rpc, player, contract, "setReady", []));
  const points = (player: Wallet) => readPoints(rpc, contract, player.address);

  /** The horse that wins if the race is run in the next block. */
  async function nextWinner(race: number): Promise<number> {
    const { hash } = blockSchema.parse(await chain.call("eth_getBlockByNumber", "latest", false));
    const coded = AbiCoder.defaultAbiCoder().encode(["bytes32", "address", "uint256"], [hash, contract, race]);
    return Number(BigInt(keccak256(coded)) % 5n);
  }

  /** Makes blocks until a race that is run in the next one is won by the horse, or by another one. */
  async function awaitWinner(race: number, suits: (winner: number) => boolean): Promise<void> {
    for (let tried = 0; tried < 200; tried += 1) {
      if (suits(await nextWinner(race))) return;
      await chain.call("anvil_mine", "0x1");
    }
    throw new Error("no block suits");
  }

  test("is at the address that follows from its deployer, however often it is looked for or sent", async () => {
    await sendContract(rpc, accounts.deployer);
    expect(await findContract(rpc, accounts.deployer.address)).toBe(contract);
    expect(await findContract(rpc, first.address)).toBeUndefined();
  });

  test("opens a race with the first bet and takes the stake from the player's points", async () => {
    expect(await readStanding(rpc, contract)).toMatchObject({ race: 0, finished: true, bets: [] });
    await bet(first, 2, 300);
    expect(await readStanding(rpc, contract)).toEqual({
      race: 1,
      finished: false,
      winner: 0,
      jackpot: 300,
      bets: [{ player: first.address, horse: 2, amount: 300, ready: false }],
    });
    expect([await points(first), await points(second)]).toEqual([700, 1000]);
  });

  test("runs the race with the last who is ready, and pays those who backed the winner by their stakes", async () => {
    await bet(first, 1, 100);
    await bet(second, 1, 300);
    await bet(third, 4, 200);
    await ready(first);
    await ready(second);
    await awaitWinner(1, (winner) => winner === 1);
    expect((await readStanding(rpc, contract)).finished).toBe(false);
    await ready(third);
    expect(await readStanding(rpc, contract)).toMatchObject({ race: 1, finished: true, winner: 1, jackpot: 0 });
    expect([await points(first), await points(second), await points(third)]).toEqual([1050, 1150, 800]);
    const kinds = (await readHappenings(rpc, contract, 1_000)).map(({ kind }) => kind);
    expect(kinds.slice(-4)).toEqual(["PlayerReady", "Paid", "Paid", "RaceFinished"]);
  });

  test("keeps the jackpot for the next race when nobody backed the winner", async () => {
    await bet(first, 0, 100);
    await awaitWinner(1, (winner) => winner !== 0);
    await ready(first);
    expect(await readStanding(rpc, contract)).toMatchObject({ race: 1, finished: true, jackpot: 100 });
    await bet(second, 3, 50);
    expect(await readStanding(rpc, contract)).toMatchObject({ race: 2, finished: false, jackpot: 150 });
    await awaitWinner(2, (winner) => winner === 3);
    await ready(second);
    expect(await points(second)).toBe(1_100);
  });

  test("loses no point: what does not divide stays in the jackpot", async () => {
    for (const [player, amount] of [
      [first, 1],
      [second, 2],
      [third, 4],
    ] as const)
      await bet(player, 3, amount);
    await awaitWinner(1, (winner) => winner !== 3);
    for (const player of [first, second, third]) {
      await ready(player);
      await awaitWinner(1, (winner) => winner !== 3);
    }
    for (const [player, amount] of [
      [first, 1],
      [second, 1],
      [third, 1],
    ] as const)
      await bet(player, 2, amount);
    await ready(first);
    await ready(second);
    await awaitWinner(2, (winner) => winner === 2);
    await ready(third);
    const { jackpot } = await readStanding(rpc, contract);
    const held = await Promise.all([first, second, third].map(points));
    expect(jackpot).toBe(1); // 10 points among three
    expect(held.reduce((sum, one) => sum + one, jackpot)).toBe(3_000);
  });

  test("gives the starting points again to a player who lost all, and not before the race is over", async () => {
    await bet(first, 0, 1_000);
    expect(await points(first)).toBe(0);
    await awaitWinner(1, (winner) => winner !== 0);
    await ready(first);
    expect(await points(first)).toBe(1_000);
    await bet(first, 0, 1_000);
    expect((await readStanding(rpc, contract)).jackpot).toBe(2_000);
  });

  test.each([
    ["a sixth horse", () => bet(first, 5, 1), "There is no horse 6."],
    ["no stake", () => bet(first, 0, 0), "A bet needs at least one point."],
    ["more than there is", () => bet(first, 0, 1_001), "The bet is 1001 points and the player has 1000."],
    ["a second bet", () => bet(second, 1, 1), "The player has a bet on race 1 already."],
    ["being ready without a bet", () => ready(first), "Without a bet there is nothing to be ready for."],
    ["being ready twice", () => ready(second), "The player is ready for race 1 already."],
  ])("refuses %s, in words", async (_what, attempt, words) => {
    await bet(second, 0, 10);
    await bet(third, 0, 10);
    await ready(second);
    await expect(attempt()).rejects.toThrow(new Refused(words));
  });

  test("tells of a transaction that another one overtook", async () => {
    await chain.call("evm_setAutomine", false);
    const early = await sendCall(rpc, second, contract, "placeBet", [1, 10]);
    const late = await sendCall(rpc, second, contract, "placeBet", [2, 10]);
    expect(await minedIn(rpc, late)).toBeUndefined();
    await chain.call("anvil_mine", "0x1");
    await chain.call("evm_setAutomine", true);
    expect(await minedIn(rpc, early)).toMatchObject({ transaction: early });
    await expect(minedIn(rpc, late)).rejects.toThrow(Refused);
  });
});
