import type { Footprint, Preview, ResourceChange, StackPreview } from "../schema/preview.ts";
import { formatBytes, formatCpu } from "../schema/units.ts";

/** First line of the comment, by which the next run finds it again. */
export const commentMarker = "<!-- orrery-preview -->";
/** GitHub refuses comments over 65,536 characters. */
const longestComment = 60_000;

const signs: Readonly<Record<ResourceChange["kind"], string>> = {
  create: "➕ create",
  update: "📝 update",
  replace: "♻️ replace",
  delete: "❌ delete",
};

/** Stacks with one and the same change: an experiment's on several targets, mostly. */
type Group = readonly [StackPreview, ...StackPreview[]];

/**
 * A preview as the text of a pull request's comment or a job's summary. Stacks that change alike are told together.
 * Details are left out, from the longest, until it fits. Nothing of the preview can leave its code span or fence, or
 * mention anybody.
 */
export function previewMarkdown(preview: Preview): string {
  const groups = alike(preview.stacks);
  const detailed = new Set(groups);
  for (;;) {
    const text = page(preview, groups, detailed);
    if (text.length <= longestComment || detailed.size === 0) {
      return text.slice(0, longestComment);
    }
    const [longest] = [...detailed].sort(([left], [right]) => details(right).length - details(left).length);
    detailed.delete(longest as Group);
  }
}

/** Objects do not count: some targets have no Ingress. */
function alike(stacks: readonly StackPreview[]): Group[] {
  const key = ({ experiment, source, error, changes, before, after }: StackPreview) => {
    const asked = [before, after].map((footprint) => footprint && { ...footprint, objects: 0 });
    return JSON.stringify([experiment, source, error, changes, asked]);
  };
  return [...Map.groupBy(stacks, key).values()] as unknown as Group[];
}

function page(preview: Preview, groups: readonly Group[], detailed: ReadonlySet<Group>): string {
  const parts = [
    commentMarker,
    "## What this changes",
    `${code(preview.base.slice(0, 10))} → ${code(preview.head.slice(0, 10))}`,
  ];
  const risky = groups.flatMap((group) =>
    group[0].changes.filter(losesState).map((change) => `> - ${names(group)}: ${describe(change)}`),
  );
  if (risky.length > 0) {
    parts.push(
      ["> [!WARNING]", "> Resources that hold data or keys would be replaced or deleted:", ...risky].join("\n"),
    );
  }
  if (groups.length === 0) {
    parts.push("No stack changes.");
  }
  parts.push(...groups.map((group) => section(group, detailed.has(group))));
  if (preview.images.length > 0) {
    const list = preview.images.map(({ name, because }) => `- ${code(name)}: ${because.map(code).join(", ")}`);
    parts.push(["### Images that are built anew", "Pods that run them are rolled.", "", ...list].join("\n"));
  }
  if (preview.unchanged.length > 0) {
    parts.push(`Unchanged: ${preview.unchanged.map(code).join(", ")}.`);
  }
  return `${parts.join("\n\n")}\n`;
}

const names = (group: Group) => group.map(({ stack }) => code(stack)).join(", ");

function section(group: Group, detailed: boolean): string {
  const [stack] = group;
  const head = `### ${names(group)}`;
  const targets = group.map(({ target }) => code(target)).join(", ");
  const origin = `${code(stack.experiment)} on ${targets}, ${stack.source === "engine" ? "asked of the cluster" : "from the recorded graphs, without a cluster"}`;
  if (stack.error !== undefined) {
    return [head, origin, "**The preview failed:**", fence(stack.error)].join("\n\n");
  }
  const rows = stack.changes.map(
    (change) =>
      `| ${signs[change.kind]}${losesState(change) ? " ⚠️" : ""} | ${code(shortType(change.type))} | ${code(change.name)} | ${change.because.map(code).join(", ")} |`,
  );
  const table = ["| | resource | name | forced by |", "| --- | --- | --- | --- |", ...rows].join("\n");
  const parts = [head, origin, counts(stack), table, totals(group)];
  parts.push(
    detailed ? details(stack) : "_Details left out: the comment would be too long; they are in the artifact._",
  );
  return parts.join("\n\n");
}

function counts({ changes }: StackPreview): string {
  const number = (kind: ResourceChange["kind"]) => changes.filter((change) => change.kind === kind).length;
  const words = { create: "to create", update: "to update", replace: "to replace", delete: "to delete" } as const;
  return Object.entries(words)
    .map(([kind, word]) => ({ count: number(kind as ResourceChange["kind"]), word }))
    .filter(({ count }) => count > 0)
    .map(({ count, word }) => `**${count}** ${word}`)
    .join(", ");
}

function totals(group: Group): string {
  const [{ before, after }] = group;
  const rows: (readonly [string, (footprint: Footprint) => string])[] = [
    ["Kubernetes objects", (footprint) => String(footprint.objects)],
    ["pods", (footprint) => String(footprint.pods)],
    ["CPU requested", (footprint) => formatCpu(footprint.cpu)],
    ["memory requested", (footprint) => formatBytes(footprint.memory)],
    ["volumes", (footprint) => formatBytes(footprint.storage)],
  ];
  const lines = rows.map(([name, show]) => {
    const [old, now] = [before, after].map((footprint) => (footprint === null ? "–" : show(footprint)));
    return `| ${name} | ${old} | ${old === now ? "" : "**"}${now}${old === now ? "" : "**"} |`;
  });
  const money = (value: number | null) => (value === null ? "–" : `$${value.toFixed(2)}`);
  for (const { target, costPerHour } of group) {
    if (costPerHour === undefined) continue;
    const name = `estimated cost an hour, a cluster on ${code(target)} for it alone`;
    lines.push(`| ${name} | ${money(costPerHour.before)} | ${money(costPerHour.after)} |`);
  }
  return ["| in all | before | after |", "| --- | ---: | ---: |", ...lines].join("\n");
}

function details({ changes }: StackPreview): string {
  const blocks = changes.map((change) => `${describe(change)}\n\n${fence(change.diff, "diff")}`);
  return `<details><summary>Differences</summary>\n\n${blocks.join("\n\n")}\n\n</details>`;
}

const losesState = (change: ResourceChange) =>
  change.stateful && (change.kind === "replace" || change.kind === "delete");

const describe = (change: ResourceChange) =>
  `${signs[change.kind]} ${code(shortType(change.type))} ${code(change.name)}`;

/** `kubernetes:apps/v1:StatefulSet` as `StatefulSet`; other providers keep their module. */
const shortType = (type: string) => (type.startsWith("kubernetes:") ? (type.split(":").at(-1) ?? type) : type);

/** A code span that its content cannot leave: no backtick, no line end, no column of a table. */
const code = (text: string) => `\`${text.replaceAll(/[`|\r\n]/g, "'")}\``;

/** A fenced block, with a fence longer than any run of backticks inside. */
function fence(text: string, language = ""): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const bar = "`".repeat(longest + 1);
  return `${bar}${language}\n${text}\n${bar}`;
}
