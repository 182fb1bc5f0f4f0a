import { readFileSync } from "node:fs";
import { getCreateAddress, Interface, type InterfaceAbi, keccak256, type Result, type Wallet } from "ethers";
import { z } from "zod";
import { bigQuantity, hexBytes, type JsonRpc, quantity, RpcError } from "./rpc.ts";

const artifact = z
  .object({ abi: z.array(z.unknown()), bytecode: z.string(), deployedBytecode: z.string() })
  .parse(JSON.parse(readFileSync(new URL("contracts/Racecourse.json", import.meta.url), "utf8")));

/** How the contract is spoken to. */
export const racecourse = new Interface(artifact.abi as InterfaceAbi);

export const horses = ["Perihelion", "Copper Comet", "Slow Syzygy", "Night Transit", "Wandering Star"] as const;

/** Most a transaction may use: deploying, or running a race with as many players as there can be, needs less. */
const gasLimit = 4_000_000;
/** Contracts a deployer is searched for: it deploys one, and one more when the code of this program changes. */
const mostContracts = 16;

const overtaken = "Another transaction came first and changed the race. Look, and try again.";

/** The chain says no: a rule of the race was broken. For the player's eyes. */
export class Refused extends Error {}

/** The contract that was there is there no more: the chain began anew, or the node is still far behind. */
export class ContractGone extends Error {}

export interface Bet {
  readonly player: string;
  readonly horse: number;
  readonly amount: number;
  readonly ready: boolean;
}

/** The race that is open or was run last. */
export interface Standing {
  /** 0 before the first bet. */
  readonly race: number;
  readonly finished: boolean;
  /** Horse, from 0; of no meaning unless a race is finished. */
  readonly winner: number;
  /** Points to be won; after a race, what stays for the next one. */
  readonly jackpot: number;
  readonly bets: readonly Bet[];
}

export interface Happening {
  readonly block: number;
  readonly race: number;
  readonly kind: "RaceOpened" | "BetPlaced" | "PlayerReady" | "RaceFinished" | "Paid";
  readonly player?: string;
  readonly horse?: number;
  readonly amount?: number;
}

/** A transaction that is in a block. */
export interface Mined {
  readonly transaction: string;
  readonly block: number;
}

/**
 * The contract of a deployer, if it is on the chain: the first of the deployer's contracts with the code of this
 * program. Its address follows from the deployer alone, so every replica and every restart finds the same one.
 */
export async function findContract(rpc: JsonRpc, deployer: string): Promise<string | undefined> {
  const deployed = await rpc.call("eth_getTransactionCount", [deployer, "latest"], quantity);
  for (let nonce = 0; nonce < Math.min(deployed, mostContracts); nonce += 1) {
    const address = getCreateAddress({ from: deployer, nonce });
    if ((await rpc.call("eth_getCode", [address, "latest"], hexBytes)) === `0x${artifact.deployedBytecode}`)
      return address;
  }
  return undefined;
}

/**
 * Sends the contract's creation. Replicas that do it at the same time sign the very same transaction, which the chain
 * takes once.
 */
export async function sendContract(rpc: JsonRpc, deployer: Wallet): Promise<void> {
  const nonce = await rpc.call("eth_getTransactionCount", [deployer.address, "latest"], quantity);
  try {
    await send(rpc, await signed(rpc, deployer, { nonce, data: `0x${artifact.bytecode}` }));
  } catch (error) {
    if (!tookNonce(error)) throw error;
  }
}

/** Reads the standing as of the newest block of a node. */
export async function readStanding(rpc: JsonRpc, address: string): Promise<Standing> {
  const [standing] = await read(rpc, address, "standing", []);
  const bets = [...standing.bets].map((bet: Result) => bet.toObject());
  return standingSchema.parse({ ...standing.toObject(), bets });
}

export async function readPoints(rpc: JsonRpc, address: string, player: string): Promise<number> {
  const [points] = await read(rpc, address, "pointsOf", [player]);
  return Number(points);
}

/** What happened in the newest races, oldest first, looked for in some thousand blocks. */
export async function readHappenings(rpc: JsonRpc, address: string, height: number): Promise<Happening[]> {
  const filter = { address, fromBlock: `0x${Math.max(0, height - 5_000).toString(16)}`, toBlock: "latest" };
  const logs = await rpc.call("eth_getLogs", [filter], z.array(logSchema));
  return logs.flatMap(({ topics, data, blockNumber }) => {
    const event = racecourse.parseLog({ topics, data });
    if (event === null) return [];
    const fields = happeningSchema.parse(event.args.toObject());
    return [{ kind: event.name as Happening["kind"], block: blockNumber, ...fields } as Happening];
  });
}

/**
 * Signs and sends a call of the contract, after asking whether it would be taken.
 *
 * @returns The transaction's hash
 * @throws Refused with the rule that is broken
 */
export async function sendCall(
  rpc: JsonRpc,
  player: Wallet,
  address: string,
  method: "placeBet" | "setReady",
  args: readonly number[],
): Promise<string> {
  const data = racecourse.encodeFunctionData(method, args);
  const call = { from: player.address, to: address, data, gas: `0x${gasLimit.toString(16)}` };
  try {
    await rpc.call("eth_call", [call, "latest"], z.unknown());
  } catch (error) {
    if (error instanceof RpcError) throw new Refused(ruleOf(error), { cause: error });
    throw error;
  }
  const nonce = await rpc.call("eth_getTransactionCount", [player.address, "pending"], quantity);
  try {
    return await send(rpc, await signed(rpc, player, { nonce, to: address, data }));
  } catch (error) {
    throw tookNonce(error) ? new Refused(overtaken, { cause: error }) : error;
  }
}

const receiptSchema = z.object({ status: quantity, blockNumber: quantity }).nullable();

/**
 * A transaction's block, or undefined while it is in none.
 *
 * @throws Refused when it is in one but was not carried out: another transaction came first
 */
export async function minedIn(rpc: JsonRpc, transaction: string): Promise<Mined | undefined> {
  const receipt = await rpc.call("eth_getTransactionReceipt", [transaction], receiptSchema);
  if (receipt === null) return undefined;
  if (receipt.status !== 1) throw new Refused(overtaken);
  return { transaction, block: receipt.blockNumber };
}

interface Unsigned {
  readonly nonce: number;
  readonly to?: string;
  readonly data: string;
}

async function signed(rpc: JsonRpc, wallet: Wallet, unsigned: Unsigned): Promise<string> {
  const gasPrice = await rpc.call("eth_gasPrice", [], bigQuantity);
  const chainId = await rpc.call("eth_chainId", [], bigQuantity);
  return await wallet.signTransaction({ type: 0, chainId, gasPrice, gasLimit, value: 0, ...unsigned });
}

/** A node that has the transaction already has no objection either. */
async function send(rpc: JsonRpc, raw: string): Promise<string> {
  try {
    return await rpc.call("eth_sendRawTransaction", [raw], hexBytes);
  } catch (error) {
    if (error instanceof RpcError && /already known|known transaction|already imported/i.test(error.message)) {
      return keccak256(raw);
    }
    throw error;
  }
}

/** Another transaction of the same account was faster. */
function tookNonce(error: unknown): boolean {
  return error instanceof RpcError && /nonce too low|replacement transaction underpriced/i.test(error.message);
}

async function read(rpc: JsonRpc, address: string, method: string, args: readonly unknown[]): Promise<Result> {
  const call = { to: address, data: racecourse.encodeFunctionData(method, [...args]) };
  const data = await rpc.call("eth_call", [call, "latest"], hexBytes);
  if (data === "0x") throw new ContractGone(`the race is not on the chain of ${rpc.url} any more`);
  return racecourse.decodeFunctionResult(method, data);
}

const whole = z.bigint().transform(Number);

const standingSchema = z.object({
  race: whole,
  finished: z.boolean(),
  winner: whole,
  jackpot: whole,
  bets: z.array(z.object({ player: z.string(), horse: whole, amount: whole, ready: z.boolean() })),
});

const logSchema = z.object({ topics: z.array(hexBytes), data: hexBytes, blockNumber: quantity });

const happeningSchema = z
  .object({
    race: whole,
    player: z.string().optional(),
    horse: whole.optional(),
    winner: whole.optional(),
    amount: whole.optional(),
    jackpot: whole.optional(),
  })
  .transform(({ winner, jackpot, horse = winner, amount = jackpot, ...rest }) => ({
    ...rest,
    ...(horse === undefined ? {} : { horse }),
    ...(amount === undefined ? {} : { amount }),
  }));

const rules: Readonly<Record<string, (args: readonly bigint[]) => string>> = {
  NoSuchHorse: ([horse]) => `There is no horse ${Number(horse) + 1}.`,
  NothingStaked: () => "A bet needs at least one point.",
  NotEnoughPoints: ([points, amount]) => `The bet is ${amount} points and the player has ${points}.`,
  AlreadyBet: ([race]) => `The player has a bet on race ${race} already.`,
  RaceIsFull: ([race]) => `Race ${race} has as many players as there can be.`,
  NoBet: () => "Without a bet there is nothing to be ready for.",
  AlreadyReady: ([race]) => `The player is ready for race ${race} already.`,
};

/** The rule of the contract that a refused call names, in words. */
function ruleOf({ data, message }: RpcError): string {
  const bytes = hexBytes.safeParse(typeof data === "object" && data !== null && "data" in data ? data.data : data);
  const parsed = bytes.success ? racecourse.parseError(bytes.data) : null;
  const rule = parsed === null ? undefined : rules[parsed.name];
  return parsed === null || rule === undefined ? message : rule([...parsed.args]);
}
