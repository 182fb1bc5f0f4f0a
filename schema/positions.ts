import { isMap, isPair, type LineCounter } from "yaml";
import type { Path } from "./issues.ts";

/** Tells where a path is: `file:line`, as precise as can be. */
export type Locate = (path: Path) => string | undefined;

/** Finds paths of a parsed YAML document by the line of their key, or of the nearest one above. */
export function locateIn(contents: unknown, lines: LineCounter, file: string): Locate {
  return (path) => {
    for (let length = path.length; length >= 0; length -= 1) {
      const offset = offsetOf(contents, path.slice(0, length));
      if (offset !== undefined) {
        return `${file}:${lines.linePos(offset).line}`;
      }
    }
    return file;
  };
}

/** Offset of the key (or list item) a path ends at, in the parsed YAML tree. */
function offsetOf(root: unknown, path: Path): number | undefined {
  let node: unknown = root;
  let offset = rangeStart(root);
  for (const segment of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && scalarText(item.key) === String(segment));
      if (pair === undefined) {
        return undefined;
      }
      offset = rangeStart(pair.key);
      node = pair.value;
    } else if (typeof node === "object" && node !== null && "items" in node && Array.isArray(node.items)) {
      node = node.items[Number(segment)];
      offset = rangeStart(node);
    } else {
      return undefined;
    }
  }
  return offset;
}

function scalarText(node: unknown): string {
  return typeof node === "object" && node !== null && "value" in node ? String(node.value) : String(node);
}

function rangeStart(node: unknown): number | undefined {
  if (typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range)) {
    const start: unknown = node.range[0];
    return typeof start === "number" ? start : undefined;
  }
  return undefined;
}
