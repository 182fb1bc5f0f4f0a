import { createHash } from "node:crypto";

/** Pod addresses, the same inside every cluster: nothing outside a cluster's network namespace can see them. */
export const podCidr = "198.18.0.0/20";
/** Service addresses, the same inside every cluster. */
export const serviceCidr = "198.19.0.0/17";
/** The `kubernetes` Service: the first address of the range, by Kubernetes' own rule. */
export const apiServiceAddress = "198.19.0.1";
/** The `kube-dns` Service. */
export const dnsServiceAddress = "198.19.0.10";
/** Port of the API server on the node's address, the only one the host can reach. */
export const apiPort = 6443;

/** /30 networks in 198.19.128.0/17, the half of 198.19.0.0/16 that no cluster uses for Services. */
export const linkCount = 2 ** 13;

/** The link between the host and one cluster: a /30 of its own, for the addresses are visible on the host. */
export interface Link {
  readonly index: number;
  /** Name of the host's end; as no two interfaces can share one, it also reserves the addresses. */
  readonly hostInterface: string;
  readonly hostAddress: string;
  readonly nodeAddress: string;
  /** The /30, e.g. `198.19.128.4/30`. */
  readonly cidr: string;
}

/** Every interface on the host whose name starts like this is the host's end of a cluster's link. */
export const linkPrefix = "orrery-";

/** The `index`th link, 0 to {@link linkCount} - 1. */
export function linkOf(index: number): Link {
  if (!Number.isInteger(index) || index < 0 || index >= linkCount) {
    throw new RangeError(`link index ${index} is not in 0..${linkCount - 1}`);
  }
  const base = index * 4;
  const address = (host: number) => `198.19.${128 + Math.floor(base / 256)}.${(base % 256) + host}`;
  return {
    index,
    hostInterface: `${linkPrefix}${index}`,
    hostAddress: address(1),
    nodeAddress: address(2),
    cidr: `${address(0)}/30`,
  };
}

/**
 * Short id of a cluster, made of where it lives: it names cgroups, and tells two clusters of one name in two homes
 * apart even when their state is lost.
 */
export function clusterId(folder: string): string {
  return createHash("sha256").update(folder).digest("hex").slice(0, 10);
}

/**
 * Link indexes to try for a new cluster, in order, beginning where its id falls so that clusters rarely meet.
 *
 * @param taken Indexes that are in use on this machine or recorded by another cluster of the same home.
 */
export function* linkCandidates(id: string, taken: ReadonlySet<number>): Generator<number> {
  const first = Number.parseInt(id.slice(0, 8), 16) % linkCount;
  for (let step = 0; step < linkCount; step += 1) {
    const index = (first + step) % linkCount;
    if (!taken.has(index)) {
      yield index;
    }
  }
}

/** The links that a list of the host's IPv4 addresses (`a.b.c.d`, with or without `/n`) already uses. */
export function linksInUse(addresses: readonly string[]): Set<number> {
  const used = new Set<number>();
  for (const address of addresses) {
    const [a, b, c, d] = address.replace(/\/.*$/, "").split(".").map(Number);
    if (a === 198 && b === 19 && c !== undefined && d !== undefined && c >= 128) {
      used.add(Math.floor(((c - 128) * 256 + d) / 4));
    }
  }
  return used;
}

/** Hardware address of the host's end of a cluster's link: locally administered, the rest is the cluster's id. */
export function hardwareAddress(id: string): string {
  return ["02", ...(id.match(/../g) ?? [])].join(":");
}
