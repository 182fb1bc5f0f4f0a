/** Each colour by day and by night; print takes the day. Told apart by lightness too, for those who see few colours. */
const palette: Readonly<Record<string, readonly [light: string, dark: string]>> = {
  paper: ["#ffffff", "#131518"],
  ink: ["#1a1d21", "#e7e9ec"],
  muted: ["#59626d", "#a0a9b4"],
  rule: ["#e4e7ea", "#2a2f36"],
  "rule-strong": ["#a9b1ba", "#5b6571"],
  wash: ["#f5f6f8", "#1b1e23"],
  good: ["#1c6b41", "#74cf9b"],
  bad: ["#b3261e", "#ff8f86"],
  doubt: ["#8a5600", "#eab55c"],
  "line-1": ["#1f4e9c", "#86b4ff"],
  "line-2": ["#a8460b", "#f5a46b"],
  "line-3": ["#0f766e", "#5fd0c5"],
  "line-4": ["#7a3b96", "#d3a0ea"],
  quiet: ["#98a1ac", "#717b87"],
  shade: ["rgba(179, 38, 30, 0.10)", "rgba(255, 143, 134, 0.16)"],
  unmeasured: ["rgba(110, 120, 135, 0.10)", "rgba(160, 170, 185, 0.12)"],
  "rate-1": ["#dbe8f8", "#1d2c42"],
  "rate-2": ["#b3cdee", "#234369"],
  "rate-3": ["#82abdf", "#2d619b"],
  "rate-4": ["#5285c8", "#4a87cf"],
  "rate-5": ["#2d5fa6", "#83b4ee"],
  "rate-6": ["#153c78", "#cbe1ff"],
  "heat-1": ["#fbe6cf", "#33261c"],
  "heat-2": ["#f5c795", "#59391f"],
  "heat-3": ["#e89c56", "#8a5423"],
  "heat-4": ["#cb7226", "#c07a34"],
  "heat-5": ["#974c10", "#eaa768"],
  "heat-6": ["#5f2c06", "#ffdfc0"],
};

const colors = (value: (light: string, dark: string) => string): string =>
  Object.entries(palette)
    .map(([name, [light, dark]]) => `--${name}: ${value(light, dark)};`)
    .join(" ");

/** The one style sheet of the pages. No rule names a resource: they ask nothing of the network. */
export const style = `
:root { color-scheme: light dark; ${colors((light) => light)} }
@supports (color: light-dark(red, red)) {
  :root { ${colors((light, dark) => `light-dark(${light}, ${dark})`)} }
}
:root:has(#theme-light:checked) { color-scheme: light; }
:root:has(#theme-dark:checked) { color-scheme: dark; }
@media print { :root:root:root { color-scheme: light; } }
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Liberation Sans", sans-serif; -webkit-text-size-adjust: 100%; }
body { margin: 0; }
main { max-width: 58rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; outline: 0; }
.skip { position: absolute; left: 1rem; top: -4rem; background: var(--paper); color: var(--ink); padding: 0.5rem 1rem; border: 2px solid var(--line-1); z-index: 1; }
.skip:focus { top: 0.5rem; }
.theme { max-width: 58rem; margin: 0 auto; padding: 0.75rem 1.5rem 0; border: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; justify-content: flex-end; font-size: 0.85rem; color: var(--muted); }
.theme legend { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.theme label { display: inline-flex; align-items: center; gap: 0.35rem; cursor: pointer; min-height: 1.5rem; }
.theme input { accent-color: var(--line-1); margin: 0; }
.verdict { border-left: 0.4rem solid currentColor; padding: 0.25rem 0 0.25rem 1.5rem; }
.verdict > * { color: var(--ink); }
.verdict h1 { color: inherit; display: flex; align-items: center; gap: 0.7rem; }
.verdict .sign { display: inline-grid; place-items: center; width: 1.15em; height: 1.15em; border-radius: 50%; background: currentColor; font-size: 0.8em; }
.verdict .sign span { color: var(--paper); }
.verdict .origin { color: var(--muted); }
nav ul { list-style: none; padding: 0; margin-top: 2rem; display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; font-size: 0.9rem; }
a { color: var(--line-1); text-underline-offset: 0.2em; }
nav a { display: inline-block; padding: 0.15rem 0; }
h1, h2, h3, p, ul, dl, figure, table { margin: 0; }
h1 { font-size: 3rem; line-height: 1.1; letter-spacing: -0.02em; font-weight: 650; margin: 0.4rem 0 0.6rem; }
h2 { font-size: 1.3rem; line-height: 1.3; font-weight: 650; margin-bottom: 0.75rem; }
h3 { font-size: 1rem; font-weight: 600; }
section { margin-top: 2.75rem; padding-top: 1.5rem; border-top: 1px solid var(--rule); }
p { max-width: 42rem; }
p + p { margin-top: 0.6rem; }
.origin, .note, .key-text { color: var(--muted); }
.origin { font-size: 0.95rem; overflow-wrap: anywhere; }
.lead { font-size: 1.25rem; line-height: 1.45; }
.note { font-size: 0.9rem; margin-top: 0.75rem; }
.pass, .met, .passed { color: var(--good); }
.fail, .missed, .failed { color: var(--bad); }
.invalid, .warned { color: var(--doubt); }
.skipped { color: var(--muted); }
.state { font-weight: 600; white-space: nowrap; }
.reasons { list-style: none; padding: 0; margin-top: 1.25rem; max-width: 42rem; }
.reasons li { padding: 0.75rem 0; border-top: 1px solid var(--rule); overflow-wrap: anywhere; }
.reasons .fix { color: var(--muted); display: block; }
.figure-row { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: 1.25rem 1.25rem; margin-top: 2rem; }
.figure-row div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.figure-row dt { color: var(--muted); font-size: 0.9rem; line-height: 1.35; }
.figure-row dd { margin: 0; font-size: 1.5rem; line-height: 1.3; white-space: nowrap; font-weight: 600; font-variant-numeric: tabular-nums; }
.checks { list-style: none; padding: 0; }
.checks li { display: grid; grid-template-columns: 7rem 1fr; gap: 0 1rem; padding: 0.6rem 0; border-top: 1px solid var(--rule); }
.checks .question { font-weight: 600; }
.checks .measured { grid-column: 2; color: var(--muted); overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
.scroll:focus-visible, summary:focus-visible, a:focus-visible, pre:focus-visible, input:focus-visible { outline: 2px solid var(--line-1); outline-offset: 3px; }
table { border-collapse: collapse; width: 100%; font-size: 0.95rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: 0.9rem; padding-bottom: 0.4rem; }
th, td { text-align: left; vertical-align: top; padding: 0.45rem 1.25rem 0.45rem 0; border-top: 1px solid var(--rule); font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--muted); font-size: 0.85rem; white-space: nowrap; border-top: 0; padding-top: 0; }
caption span { display: inline-block; position: sticky; left: 0; max-width: calc(100vw - 2rem); }
tbody th { font-weight: 600; overflow-wrap: break-word; }
.figures { text-align: right; white-space: nowrap; }
.scroll + .scroll, figure + .scroll, p + .scroll, .scroll + p, .scroll + h3, p + h3, figure + figure, figure + p, p + figure, dl + .scroll, details + figure { margin-top: 1.75rem; }
figcaption { display: flex; flex-wrap: wrap; gap: 0.2rem 1.5rem; align-items: baseline; justify-content: space-between; margin-bottom: 0.4rem; }
.keys { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.1rem 1.1rem; font-size: 0.85rem; color: var(--muted); }
.keys li { display: flex; align-items: center; gap: 0.4rem; }
.key { print-color-adjust: exact; -webkit-print-color-adjust: exact; width: 1.4rem; border-top: 2px solid currentColor; }
.key.dashed { border-top-style: dashed; }
.key.dotted { border-top-style: dotted; }
.key.upright { width: 0; height: 0.95rem; border-top: 0; border-left: 2px solid currentColor; margin: 0 0.3rem; }
.key.upright.dashed { border-left-style: dashed; }
.key.upright.dotted { border-left-style: dotted; }
.key.swatch { width: 0.85rem; height: 0.85rem; border: 0; background: currentColor; border-radius: 2px; }
.key.ring { width: 0.85rem; height: 0.85rem; border: 2px solid currentColor; }
.key.cross { width: auto; border: 0; }
.key.cross::before { content: "✕"; font-weight: 700; line-height: 1; }
.key.band { height: 0.8rem; border-top: 0; background: currentColor; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: inherit !important; font-variant-numeric: tabular-nums; }
svg .tick { font-size: 12px; fill: var(--muted); }
svg .strong { font-weight: 600; fill: var(--ink); }
svg .strong, svg .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
svg.narrow { display: none; }
.facts { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: 0.35rem 1.5rem; font-size: 0.95rem; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
details { margin-top: 1.5rem; }
summary { cursor: pointer; font-weight: 600; padding: 0.25rem 0; }
pre { background: var(--wash); margin: 0.5rem 0 0; padding: 1rem; overflow-x: auto; font: 0.85rem/1.5 ui-monospace, "SFMono-Regular", Menlo, Consolas, "Liberation Mono", monospace; }
code { font: 0.9em ui-monospace, "SFMono-Regular", Menlo, Consolas, "Liberation Mono", monospace; }
@media (max-width: 40rem) {
  main { padding: 1rem 1rem 3rem; }
  .theme { padding: 0.5rem 1rem 0; }
  .verdict { padding-left: 1rem; }
  h1 { font-size: 2.4rem; }
  .lead { font-size: 1.1rem; }
  section { margin-top: 2.5rem; padding-top: 1.25rem; }
  svg.wide { display: none; }
  svg.narrow { display: block; }
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: 0.6rem; }
  .checks li { grid-template-columns: 1fr; }
  .checks .measured { grid-column: 1; }
  .checks .state { order: -1; font-size: 0.9rem; }
  th, td { padding-right: 0.8rem; }
  tbody th { min-width: 5.5rem; }
}
@media print {
  html { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  .theme, .skip, nav { display: none; }
  .sign, svg, .verdict { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  section { margin-top: 1.5rem; padding-top: 0.75rem; }
  figure, tr, .reasons li, .checks li { break-inside: avoid; }
  h2, h3, caption, thead { break-after: avoid; }
  svg.wide { display: block; }
  svg.narrow { display: none; }
  .scroll { overflow: visible; }
  pre { white-space: pre-wrap; border: 1px solid var(--rule); }
}
`;
