import { z } from "zod";
import type { Endpoint } from "../../schema/run.ts";
import type { Member } from "../core/connector.ts";
import { NodeRpc } from "./rpc.ts";

/** Enough for a member that works; those that hang are as good as gone. */
const roleLimitMs = 500;

const addresses = z.array(z.string());

/**
 * Members that answer in time. With raft: `minter`, which is the leader, or `verifier`. With the others: `validator` or
 * `observer`, by the list of those who seal blocks.
 */
export async function roles(endpoints: readonly Endpoint[]): Promise<Member[]> {
  const members = await Promise.all(endpoints.map(async (endpoint) => await roleOf(endpoint, endpoints)));
  return members.filter((member) => member !== undefined);
}

async function roleOf(endpoint: Endpoint, endpoints: readonly Endpoint[]): Promise<Member | undefined> {
  const node = new NodeRpc(endpoint);
  const ask = async (method: string, ...params: unknown[]) =>
    await node.call(method, params, roleLimitMs).catch(() => undefined); // another consensus, or no answer
  try {
    const [istanbul, clique, raft, leader] = await Promise.all([
      ask("istanbul_getValidators", null),
      ask("clique_getSigners", null),
      ask("raft_role"),
      ask("raft_leader"),
    ]);
    const { pod, ordinal } = endpoint;
    if (typeof raft === "string") {
      return { pod, ordinal, role: raft, leader: podOfNode(leader, endpoints) };
    }
    const sealers = addresses.safeParse(istanbul ?? clique);
    const own = endpoint.attributes?.address?.toLowerCase();
    const seals = sealers.data?.some((address) => address.toLowerCase() === own);
    return seals === undefined ? undefined : { pod, ordinal, role: seals ? "validator" : "observer" };
  } finally {
    await node.close();
  }
}

/** A node is known by the public key in its enode URL. */
function podOfNode(id: unknown, endpoints: readonly Endpoint[]): string | null {
  const known = typeof id === "string" && id !== "";
  return (known && endpoints.find(({ attributes }) => attributes?.enode?.includes(id))?.pod) || null;
}
