import { EnvHttpProxyAgent, fetch, type Response } from "undici";

const connectTimeoutMs = 5000;
const verdicts = new Map<string, Promise<string | undefined>>();
let agent: EnvHttpProxyAgent | undefined;

/** A host did not answer, or the answer was not the file. */
export class NetworkError extends Error {
  /** Whether asking again can help. */
  readonly isPassing: boolean;

  constructor(message: string, options: ErrorOptions & { readonly isPassing?: boolean } = {}) {
    super(message, options);
    this.name = "NetworkError";
    this.isPassing = options.isPassing ?? true;
  }
}

/**
 * Whether a host answers at all, asked once per process: later calls, also for ten tools at the same moment, get the
 * first answer. Hosts asked about together are waited for together, five seconds at most.
 *
 * @returns why it cannot be reached, or `undefined` when it can
 */
export async function unreachable(origin: string): Promise<string | undefined> {
  if (process.env.ORRERY_OFFLINE === "1") return "ORRERY_OFFLINE=1 is set";
  let verdict = verdicts.get(origin);
  if (verdict === undefined) {
    verdict = probe(origin);
    verdicts.set(origin, verdict);
  }
  return await verdict;
}

/** Forgets what {@link unreachable} found out; for tests. */
export function forgetReachability(): void {
  verdicts.clear();
}

/**
 * A GET through the user's proxy settings.
 *
 * @throws NetworkError when no answer comes; an answer of any status is returned
 */
export async function get(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<Response> {
  try {
    return await fetch(url, { headers, dispatcher: dispatcher(), ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    signal?.throwIfAborted();
    throw new NetworkError(`${new URL(url).host} does not answer: ${reason(error)}`, { cause: error });
  }
}

async function probe(origin: string): Promise<string | undefined> {
  const signal = AbortSignal.timeout(connectTimeoutMs);
  try {
    const response = await fetch(origin, { method: "HEAD", redirect: "manual", dispatcher: dispatcher(), signal });
    await response.body?.cancel();
    return undefined;
  } catch (error) {
    return `${new URL(origin).host} does not answer: ${reason(error)}`;
  }
}

function dispatcher(): EnvHttpProxyAgent {
  agent ??= new EnvHttpProxyAgent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: 30_000,
    bodyTimeout: 30_000,
  });
  return agent;
}

function reason(error: unknown): string {
  const cause = (error as Error).cause;
  return cause instanceof Error ? cause.message : (error as Error).message;
}
