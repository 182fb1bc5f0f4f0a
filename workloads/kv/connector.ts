import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { z } from "zod";
import type { Endpoint, RunSpec } from "../../schema/run.ts";
import { type Chooser, uniformChoice, zipfianChoice } from "../core/choice.ts";
import type { ConnectOptions, Connector, Member, OperationContext, Outcome } from "../core/connector.ts";
import { type Attempt, type AttemptRequest, MemberClient } from "../core/member-client.ts";
import { hashText, seededRandom } from "../core/random.ts";
import { followFeed } from "./feed.ts";

/** A dead member, whose packets vanish, may take no more of an operation's time than this. */
const attemptLimitMs = 1_000;
/** With less time than this left nothing is tried again. */
const leastAttemptMs = 20;
/** How long a member is left alone when it seems to be gone, and when it is slow or says that it cannot serve now. */
const avoidLostMs = 500;
const avoidUnreadyMs = 50;
/** Between two rounds in which no member could serve. */
const roundPauseMs = 10;
const readBackLimitMs = 5_000;

/** The load parameters of schema/systems/kv.ts as the plan resolves them: sizes in bytes. */
const parametersSchema = z.strictObject({
  keys: z.int().min(1),
  valueSize: z.int().min(1),
  distribution: z.enum(["uniform", "zipfian"]),
});

/** Connects one worker to a replicated key-value network; every member takes every request. */
export async function connect(spec: RunSpec, { worker }: ConnectOptions): Promise<Connector> {
  const parameters = parametersSchema.parse(spec.parameters);
  const client = new KvClient(spec.endpoints, seededRandom(spec.seed, worker).below(spec.endpoints.length));
  const choose: Chooser =
    parameters.distribution === "zipfian" ? zipfianChoice(parameters.keys) : uniformChoice(parameters.keys);
  const keyPrefix = `w${worker}-`;
  const keyOf = (context: OperationContext): string => keyPrefix + choose(context.random);
  const makeValue = valueMaker(worker, spec.run, parameters.valueSize);

  return {
    operations: {
      put: (context) => {
        const key = keyOf(context);
        return client.write(key, makeValue(context.sequence), context);
      },
      delete: (context) => client.write(keyOf(context), null, context),
      get: (context) => client.read(keyOf(context), "", context),
      get_local: (context) => client.read(keyOf(context), "?local=true", context),
    },
    requests: {
      put: { method: "PUT", path: "/kv/{key}" },
      delete: { method: "DELETE", path: "/kv/{key}" },
      get: { method: "GET", path: "/kv/{key}" },
      get_local: { method: "GET", path: "/kv/{key}?local=true" },
    },
    readBack: (key) => client.readBack(key),
    observe: (feed, signal) => followFeed(feed, keyPrefix, signal),
    close: () => client.close(),
  };
}

/**
 * Values that say which write they are of: worker and sequence, then as much of the run's hash as there is room for (so
 * that a value left by an earlier run is no value of this one), filled up to the size asked for.
 */
export function valueMaker(worker: number, run: string, size: number): (sequence: number) => string {
  const padding = `.${hashText(run).toString(36)}.`.padEnd(size, "0123456789abcdefghijklmnopqrstuvwxyz");
  return (sequence) => {
    const own = `${worker.toString(36)}-${sequence.toString(36)}`;
    return own + padding.slice(0, Math.max(0, size - own.length));
  };
}

interface Tried {
  readonly attempt: Attempt;
  readonly endpoint: number;
  readonly attempts: number;
  /** An attempt before the last may still take effect. */
  readonly lingering: boolean;
}

/** Tries members in turn, beginning with a seeded one, until one answers or the time is up. */
class KvClient {
  readonly #members: readonly MemberClient[];
  #turn: number;

  constructor(endpoints: readonly Endpoint[], first: number) {
    this.#members = endpoints.map((endpoint) => new MemberClient(endpoint));
    this.#turn = first;
  }

  async read(key: string, query: string, { headers, remainingMs }: OperationContext): Promise<Outcome> {
    return outcomeOf(await this.#try({ method: "GET", path: pathOf(key) + query, headers }, remainingMs));
  }

  async write(key: string, value: string | null, { headers, remainingMs }: OperationContext): Promise<Outcome> {
    const how = value === null ? ({ method: "DELETE" } as const) : ({ method: "PUT", body: value } as const);
    const tried = await this.#try({ ...how, path: pathOf(key), headers }, remainingMs);
    const event = eventOf(tried.attempt);
    return {
      ...outcomeOf(tried),
      write: { key, value, lingering: tried.lingering },
      ...(event === undefined ? {} : { event }),
    };
  }

  async readBack(key: string): Promise<string | null> {
    const endMs = performance.now() + readBackLimitMs;
    const tried = await this.#try({ method: "GET", path: pathOf(key) }, () => endMs - performance.now());
    const { attempt } = tried;
    if (attempt.kind === "answer" && (attempt.status === 200 || attempt.status === 404)) {
      return attempt.status === 200 ? attempt.body : null;
    }
    throw new Error(`${outcomeOf(tried).code} at member ${tried.endpoint}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()));
  }

  async #try(how: Omit<AttemptRequest, "limitMs">, remainingMs: () => number): Promise<Tried> {
    let attempts = 0;
    let lingering = false;
    for (;;) {
      const member = this.#next();
      const attempt = await member.attempt({ ...how, limitMs: Math.min(attemptLimitMs, remainingMs()) });
      attempts += 1;
      const tried = { attempt, endpoint: member.endpoint.ordinal, attempts, lingering };
      if (!mayServeElsewhere(attempt)) {
        return tried;
      }
      member.avoidFor(attempt.kind === "failure" && attempt.lost ? avoidLostMs : avoidUnreadyMs);
      if (attempts % this.#members.length === 0) {
        await sleep(Math.max(0, Math.min(roundPauseMs, remainingMs())));
      }
      if (remainingMs() < leastAttemptMs) {
        return tried;
      }
      lingering ||= !surelyNotApplied(attempt);
    }
  }

  /** The next in turn that is not to be avoided, or the one that was to be avoided soonest. */
  #next(): MemberClient {
    const now = performance.now();
    let best: MemberClient | undefined;
    for (let step = 0; step < this.#members.length; step += 1) {
      const member = this.#members[this.#turn % this.#members.length];
      this.#turn += 1;
      if (member !== undefined && member.avoidUntilMs <= now) {
        return member;
      }
      best = best === undefined || (member !== undefined && member.avoidUntilMs < best.avoidUntilMs) ? member : best;
    }
    if (best === undefined) {
      throw new Error("the network has no members");
    }
    return best;
  }
}

const pathOf = (key: string): string => `/kv/${encodeURIComponent(key)}`;

/** A member that is starting, stopping, without a leader or gone says nothing about the others. */
function mayServeElsewhere(attempt: Attempt): boolean {
  return attempt.kind === "failure" || attempt.status === 503 || attempt.status === 504;
}

function surelyNotApplied(attempt: Attempt): boolean {
  return attempt.kind === "failure" ? !attempt.sent : attempt.status === 503;
}

function outcomeOf({ attempt, endpoint, attempts }: Tried): Outcome {
  if (attempt.kind === "failure") {
    return { ok: false, code: attempt.code, endpoint, attempts };
  }
  const ok = attempt.status === 200 || attempt.status === 404; // absent is an answer
  return ok ? { ok, endpoint, attempts } : { ok, code: errorCodeOf(attempt), endpoint, attempts };
}

const writtenSchema = z.object({ index: z.int() });

/** An acknowledged write is known by its place in the log, which is the same at every member. */
function eventOf(attempt: Attempt): string | undefined {
  if (attempt.kind !== "answer" || attempt.status !== 200) {
    return undefined;
  }
  return String(writtenSchema.parse(JSON.parse(attempt.body)).index);
}

const errorSchema = z.object({ code: z.string().regex(/^[a-z][a-z0-9_]{0,31}$/) });

/** The member's own word for it where it gives one, else the HTTP status. */
function errorCodeOf({ status, body }: { readonly status: number; readonly body: string }): string {
  try {
    return errorSchema.parse(JSON.parse(body)).code;
  } catch {
    return `http_${status}`; // an answer in another form is told by its status
  }
}

const statusSchema = z.object({
  role: z.string(),
  leader: z.int().nullable(),
});

/** Enough for a member that works; those that hang are as good as gone. */
const statusLimitMs = 250;
const statusAgent = new Agent({ connections: 4, pipelining: 1, connect: { timeout: statusLimitMs } });

/** Members that answer `GET /status` within 250 ms, with the pod each takes for its leader. */
export async function roles(endpoints: readonly Endpoint[]): Promise<Member[]> {
  const answers = await Promise.all(endpoints.map(roleOf));
  return answers.filter((member) => member !== undefined);
}

async function roleOf(endpoint: Endpoint): Promise<Member | undefined> {
  try {
    const answer = await request(new URL("/status", endpoint.url), {
      dispatcher: statusAgent,
      signal: AbortSignal.timeout(statusLimitMs),
    });
    const { role, leader } = statusSchema.parse(await answer.body.json());
    const { pod, ordinal } = endpoint;
    return { pod, ordinal, role, leader: leader === null ? null : podOfPid(endpoint, leader) };
  } catch {
    return undefined; // whatever it is, this member does not tell its role now
  }
}

/** A member's pid is its ordinal and one; pods of one group differ in their ordinal only. */
function podOfPid({ pod, ordinal }: Endpoint, pid: number): string {
  return `${pod.slice(0, pod.length - String(ordinal).length)}${pid - 1}`;
}
