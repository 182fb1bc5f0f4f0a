import type { CID } from "multiformats/cid";
import { type Block, blockOf } from "./blocks.ts";

/** A leaf's way up: its place below the root as an IPLD path, and the tree's blocks on it from the root down. */
export interface Witness {
  readonly path: string;
  readonly blocks: readonly Block[];
}

export interface MerkleTree {
  /** Always a dag-cbor block: a chain keeps nothing but its SHA-256. */
  readonly root: CID;
  /** In the order of the leaves. */
  readonly witnesses: readonly Witness[];
}

interface Node {
  readonly cid: CID;
  /** The leaves below it by number, each with its witness so far. */
  readonly below: ReadonlyMap<number, Witness>;
}

/**
 * A tree whose nodes are dag-cbor lists of two links; the last one of an odd level goes up as it is, and a single leaf
 * has a node of one link above it.
 *
 * @throws RangeError when there is no leaf
 */
export async function merkleTree(leaves: readonly CID[]): Promise<MerkleTree> {
  if (leaves.length === 0) throw new RangeError("a tree has at least one leaf");
  let level: Node[] = leaves.map((cid, index) => ({ cid, below: new Map([[index, { path: "", blocks: [] }]]) }));
  do level = await levelAbove(level);
  while (level.length > 1);
  const [top] = level;
  if (top === undefined) throw new Error("the tree has lost its root");
  return {
    root: top.cid,
    witnesses: leaves.map((_, index) => top.below.get(index) ?? { path: "", blocks: [] }),
  };
}

async function levelAbove(level: readonly Node[]): Promise<Node[]> {
  const above: Node[] = [];
  for (let at = 0; at < level.length; at += 2) {
    const children = level.slice(at, at + 2);
    const [only] = children;
    if (children.length === 1 && only !== undefined && level.length > 1) above.push(only);
    else above.push(await parentOf(children));
  }
  return above;
}

async function parentOf(children: readonly Node[]): Promise<Node> {
  const block = await blockOf(children.map(({ cid }) => cid));
  const below = new Map<number, Witness>();
  children.forEach((child, side) => {
    for (const [leaf, { path, blocks }] of child.below) {
      below.set(leaf, { path: path === "" ? String(side) : `${side}/${path}`, blocks: [block, ...blocks] });
    }
  });
  return { cid: block.cid, below };
}
