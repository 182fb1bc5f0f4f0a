import type { Summary } from "../../schema/summary.ts";
import type { WholeRun } from "../checks/check.ts";
import { formatMs, formatRatio, plural } from "../format.ts";
import type { MemberGrid, MemberRow } from "../members.ts";
import { escapeHtml, type Html, html, table } from "./html.ts";
import { type Caption, drawing, framed, type Key, px, type Size, shortened } from "./svg.ts";

/** What is known of a member beyond its name. */
interface Member extends MemberRow {
  /** It led when the run ended, as far as anybody saw. */
  readonly leads: boolean;
  /** It led until a fault took that from it. */
  readonly led: boolean;
  /** What was done to it, in words; empty when nothing was. */
  readonly harm: readonly string[];
}

/** Members on a ring, drivers beside it, and how much of each driver's work each member did. */
export function topologyFigure(grid: MemberGrid, run: WholeRun, summary: Summary): Html {
  const members = membersOf(grid, run, summary);
  const caption: Caption = {
    id: "topology",
    title: "Who took part",
    description: describe(members, run),
  };
  const seen = (pick: (member: Member) => boolean): boolean => members.some(pick);
  const keys: Key[] = [
    { name: "driver", color: "var(--muted)", shape: "swatch" },
    { name: "member", color: "var(--line-1)", shape: "ring" },
    ...(seen(({ leads }) => leads)
      ? [{ name: "leader at the end", color: "var(--line-1)", shape: "swatch" as const }]
      : []),
    ...(seen(({ harm }) => harm.length > 0) ? [{ name: "killed", color: "var(--bad)", shape: "cross" as const }] : []),
    { name: "the wider, the more operations", color: "var(--quiet)", shape: "solid" },
  ];
  return html`${framed(caption.title, keys, (size) => draw(caption, members, run.workers.length, size))}
<details><summary>Members and their part</summary>
${memberTable(members)}</details>
`;
}

function membersOf(grid: MemberGrid, run: WholeRun, summary: Summary): Member[] {
  const fromMs = run.startAtMs + run.spec.phases.warmupMs;
  const leaders = [...summary.faults]
    .sort((a, b) => (a.actedAtMs ?? 0) - (b.actedAtMs ?? 0))
    .flatMap(({ leaderBefore, leaderAfter }) => [leaderBefore ?? [], leaderAfter ?? []].flat());
  const last = leaders.at(-1);
  return grid.rows
    .filter(({ ordinal }) => ordinal >= 0)
    .map((row) => ({
      ...row,
      leads: row.pod === last,
      led: row.pod !== last && leaders.includes(row.pod),
      harm: summary.faults.flatMap(({ kind, actedAtMs, members }) =>
        members
          .filter(({ pod }) => pod === row.pod && actedAtMs !== null)
          .map(({ readyAtMs }) => {
            const back = readyAtMs === null ? "not seen back" : `back ${formatMs(readyAtMs - (actedAtMs ?? 0))} later`;
            return `${kind} at ${formatMs((actedAtMs ?? 0) - fromMs)}, ${back}`;
          }),
      ),
    }));
}

function describe(members: readonly Member[], run: WholeRun): string {
  const groups = new Map<string, number>();
  for (const { group } of members) {
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  const leader = members.find(({ leads }) => leads);
  const killed = members.filter(({ harm }) => harm.length > 0);
  return [
    `${plural(run.workers.length, "driver")} and ${[...groups].map(([group, count]) => `${count} × ${group}`).join(", ")}.`,
    leader === undefined ? "Nobody was seen to lead." : `${leader.pod} led at the end.`,
    killed.length === 0
      ? "None was harmed."
      : `${killed.map(({ pod, harm }) => `${pod}: ${harm.join("; ")}`).join(". ")}.`,
  ].join(" ");
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where the ring is, and where the drivers are, in each size. */
const stages = {
  wide: { height: 340, center: { x: 560, y: 170 }, radius: 112 },
  narrow: { height: 400, center: { x: 180, y: 240 }, radius: 105 },
} as const;

function draw(caption: Caption, members: readonly Member[], drivers: number, size: Size): Html {
  const { height, center, radius } = stages[size];
  const dot = members.length <= 12 ? 20 : Math.max(3, (Math.PI * radius) / members.length - 1.5);
  const places = members.map((_, index): Point => {
    const angle = (index / members.length) * 2 * Math.PI - Math.PI / 2;
    return { x: center.x + radius * Math.cos(angle), y: center.y + radius * Math.sin(angle) };
  });
  const shown = Math.min(drivers, 8);
  const posts = Array.from({ length: shown }, (_, index): Point => {
    const share = (index + 0.5) / shown;
    return size === "wide" ? { x: 150, y: 20 + share * (height - 40) } : { x: 16 + share * 328, y: 34 };
  });
  const body = [
    edges(members, places, posts),
    `<circle cx="${center.x}" cy="${center.y}" r="${radius}" fill="none" stroke="var(--rule)" stroke-width="1"/>`,
    ...members.map((member, index) => memberSign(member, places[index] ?? center, dot)),
    ...posts.map((post, index) => driverSign(post, index, size)),
    ...members.map((member, index) => memberLabel(member, places[index] ?? center, { center, dot, size, members })),
    drivers > shown ? more(drivers - shown, size, height) : "",
  ];
  return drawing(caption, size, height, body.join(""));
}

function edges(members: readonly Member[], places: readonly Point[], posts: readonly Point[]): string {
  const most = Math.max(1, ...members.flatMap(({ byWorker }) => byWorker));
  return members
    .flatMap(({ byWorker }, index) =>
      posts.map((post, worker) => {
        const count = byWorker[worker] ?? 0;
        const place = places[index] ?? post;
        return count === 0
          ? ""
          : `<path d="M${px(post.x)} ${px(post.y)}L${px(place.x)} ${px(place.y)}" stroke="var(--quiet)" stroke-opacity="0.55" stroke-width="${px(0.6 + (5 * count) / most)}"/>`;
      }),
    )
    .join("");
}

function memberSign({ pod, count, leads, harm, p99Ms }: Member, { x, y }: Point, dot: number): string {
  const hurt = harm.length > 0;
  const arm = dot * 0.45;
  const hint = `${pod}: ${plural(count, "operation")} answered, p99 ${p99Ms === null ? "none" : formatMs(p99Ms)}${hurt ? `, ${harm.join("; ")}` : ""}`;
  const color = leads ? "var(--paper)" : "var(--bad)";
  const cross = hurt
    ? `<path d="M${px(x - arm)} ${px(y - arm)}L${px(x + arm)} ${px(y + arm)}M${px(x + arm)} ${px(y - arm)}L${px(x - arm)} ${px(y + arm)}" stroke="${color}" stroke-width="${px(Math.max(1.5, dot / 7))}" stroke-linecap="round"/>`
    : "";
  const dash = hurt ? ' stroke-dasharray="5 3"' : "";
  return `<g><circle cx="${px(x)}" cy="${px(y)}" r="${px(dot)}" fill="var(--${leads ? "line-1" : "paper"})" stroke="var(--${hurt ? "bad" : "line-1"})" stroke-width="2"${dash}/>${cross}<title>${escapeHtml(hint)}</title></g>`;
}

function driverSign({ x, y }: Point, index: number, size: Size): string {
  const label =
    size === "wide"
      ? `<text class="tick strong" x="${px(x - 20)}" y="${px(y)}" text-anchor="end" dominant-baseline="central">driver ${index}</text>`
      : `<text class="tick" x="${px(x)}" y="${px(y - 17)}" text-anchor="middle">${index === 0 ? "driver 0" : index}</text>`;
  return `<rect x="${px(x - 10)}" y="${px(y - 10)}" width="20" height="20" rx="3" fill="var(--muted)"/>${label}`;
}

interface LabelPlace {
  readonly center: Point;
  readonly dot: number;
  readonly size: Size;
  readonly members: readonly Member[];
}

/** The member's name beside it; in a crowd only of those that led or were harmed. */
function memberLabel(member: Member, { x, y }: Point, { center, dot, size, members }: LabelPlace): string {
  const role = member.leads ? "leader" : member.led ? "led before" : "";
  const notable = role !== "" || member.harm.length > 0;
  if (members.length > (size === "wide" ? 16 : 8) && !notable) {
    return "";
  }
  const notes = size === "wide" ? [role, ...member.harm.flatMap((text) => text.split(", "))] : [role];
  const lines = [member.pod, ...notes.filter((text) => text !== "")].slice(0, 4);
  // To the right there is room; elsewhere a name beside its sign would lie on the lines that lead to it.
  const beside = size === "wide" && x >= center.x - 1;
  const above = !beside && y < center.y - 1 && size === "wide";
  const left = beside ? x + dot + 8 : x;
  const tall = (lines.length - 1) * lineHeight;
  const first = beside ? y - tall / 2 : above ? y - dot - 10 - tall : y + dot + 14;
  return lines
    .map((text, index) => {
      const style = index === 0 ? "strong" : "halo";
      const shown = escapeHtml(shortened(text, size === "wide" ? 24 : 12));
      return `<text class="tick ${style}" x="${px(left)}" y="${px(first + index * lineHeight)}" text-anchor="${beside ? "start" : "middle"}" dominant-baseline="central">${shown}</text>`;
    })
    .join("");
}

const lineHeight = 15;

function more(count: number, size: Size, height: number): string {
  const [x, y, anchor] = size === "wide" ? [130, height - 6, "end"] : [344, 62, "end"];
  return `<text class="tick" x="${x}" y="${y}" text-anchor="${anchor}">and ${plural(count, "driver")} more</text>`;
}

function memberTable(members: readonly Member[]): Html {
  const all = members.reduce((sum, { count }) => sum + count, 0);
  return table(
    "Members of the network",
    [{ head: "member" }, { head: "group" }, { head: "operations", figures: true }, { head: "part" }],
    members.map(({ pod, group, count, leads, led, harm }) => [
      pod,
      group,
      all === 0 ? "none" : formatRatio(count / all, 1),
      [leads ? "leader at the end" : led ? "led before a fault" : "", ...harm]
        .filter((text) => text !== "")
        .join("; ") || "nothing of note",
    ]),
  );
}
