import { EnvironmentError } from "../../schema/errors.ts";
import { exec, run } from "../toolchain/exec.ts";
import { hardwareAddress, type Link, linkCandidates, linkOf, linkPrefix, linksInUse } from "./addresses.ts";

interface HostInterface {
  readonly ifname: string;
  /** Hardware address. */
  readonly address?: string;
  readonly addr_info?: readonly { readonly family: string; readonly local?: string }[];
}

/** Network interfaces of the host with their addresses. */
async function hostInterfaces(ip: string): Promise<HostInterface[]> {
  return JSON.parse(await run(ip, ["-json", "address", "show"])) as HostInterface[];
}

/** Links that are in use on this machine, by whichever home. */
async function usedLinks(ip: string): Promise<Set<number>> {
  const interfaces = await hostInterfaces(ip);
  const addresses = interfaces.flatMap((entry) => (entry.addr_info ?? []).map((info) => info.local ?? ""));
  const used = linksInUse(addresses);
  for (const { ifname } of interfaces) {
    const index = /^orrery-(\d+)(?:-in)?$/.exec(ifname)?.[1];
    if (index !== undefined) used.add(Number(index));
  }
  return used;
}

/** The link cannot be had: another cluster was quicker, or something else uses its addresses. */
export class LinkTaken extends EnvironmentError {
  constructor(link: Link, reason: string) {
    super(
      `The addresses ${link.cidr} of this cluster are in use on this machine (${reason}).`,
      `Find out by what with \`ip address show to ${link.cidr}\` and stop it, or run \`orrery local reset\` to get other addresses.`,
    );
    this.name = "LinkTaken";
  }
}

/**
 * Links nobody uses, for a cluster that is made now, likeliest first. They are not reserved: see {@link reserve}.
 *
 * @throws EnvironmentError when none is left
 */
export async function freeLinks(ip: string, id: string): Promise<Link[]> {
  const links: Link[] = [];
  for (const index of linkCandidates(id, await usedLinks(ip))) {
    links.push(linkOf(index));
    if (links.length === 16) break;
  }
  if (links.length > 0) return links;
  throw new EnvironmentError(
    "All 8192 link addresses in 198.19.128.0/17 are in use on this machine.",
    "Stop clusters you do not need with `orrery local down`.",
  );
}

/** Name the cluster's end of a link has until it is moved. */
function peerName(link: Link): string {
  return `${linkPrefix}${link.index}-in`;
}

/**
 * Makes the link, both ends still on the host. The interface's name is the reservation of its addresses: the kernel
 * lets only one process make it. Its hardware address says from the first moment whose it is.
 *
 * @throws LinkTaken
 */
export async function reserve(ip: string, link: Link, id: string): Promise<void> {
  if ((await usedLinks(ip)).has(link.index)) throw new LinkTaken(link, "an interface has one of them");
  const made = await exec(ip, [
    ...["link", "add", link.hostInterface, "address", hardwareAddress(id), "type", "veth"],
    ...["peer", "name", peerName(link)],
  ]);
  if (made.code !== 0) {
    if (made.stderr.includes("File exists")) throw new LinkTaken(link, "another cluster was quicker");
    throw new Error(`ip link add ${link.hostInterface} type veth: ${made.stderr.trim()}`);
  }
  // No IPv6 address of its own making on the host's side. Where the kernel has no IPv6 there is none to prevent.
  await exec(ip, ["link", "set", link.hostInterface, "addrgenmode", "none"]);
  await run(ip, ["address", "add", `${link.hostAddress}/30`, "dev", link.hostInterface]);
  await run(ip, ["link", "set", link.hostInterface, "up"]);
}

/** Moves the cluster's end of a reserved link, as `eth0`, into the network namespace of process `pid`. */
export async function attach(ip: string, link: Link, pid: number): Promise<void> {
  await run(ip, ["link", "set", peerName(link), "netns", String(pid), "name", "eth0"]);
}

/** Names of the host's interfaces that belong to a cluster, whatever became of its record. */
export async function linksOf(ip: string, id: string): Promise<string[]> {
  const address = hardwareAddress(id);
  return (await hostInterfaces(ip)).filter((entry) => entry.address === address).map((entry) => entry.ifname);
}

/** Removes a cluster's links, and with them their other ends, if any are still there. */
export async function disconnect(ip: string, id: string): Promise<void> {
  for (const name of await linksOf(ip, id)) {
    const removed = await exec(ip, ["link", "delete", name]);
    if (removed.code !== 0 && (await linksOf(ip, id)).includes(name)) {
      throw new Error(`ip link delete ${name}: ${removed.stderr.trim()}`);
    }
  }
}
