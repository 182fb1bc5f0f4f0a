import { LineChart } from "echarts/charts";
import { GridComponent, MarkAreaComponent, MarkLineComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { Html, html } from "./html.ts";

use([LineChart, GridComponent, MarkAreaComponent, MarkLineComponent, SVGRenderer]);

/** How a line looks; colours are CSS variables of style.ts, so that one drawing serves light, dark and print. */
export interface LineStyle {
  readonly color: string;
  readonly width?: number;
  readonly dash?: "solid" | "dashed" | "dotted";
}

export interface Series extends LineStyle {
  readonly name: string;
  /** Null leaves a gap. */
  readonly points: readonly (readonly [number, number | null])[];
  /** Draw each value as level over its stretch, points being the middles; a sloped line otherwise. */
  readonly level?: boolean;
}

/** A vertical line at an instant. */
export interface Mark extends LineStyle {
  readonly at: number;
  readonly label?: string;
}

/** A shaded stretch. */
export interface Band {
  readonly from: number;
  readonly to: number;
  readonly color: string;
}

export interface Axis {
  readonly log?: boolean;
  readonly min?: number;
  readonly max?: number;
  /** Distance of ticks. */
  readonly step?: number;
  readonly format: (value: number) => string;
}

export interface Chart {
  /** Unique in the page; letters only. */
  readonly id: string;
  readonly title: string;
  /** What a reader who does not see the figure needs to know. */
  readonly description: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly marks?: readonly Mark[];
  readonly bands?: readonly Band[];
  /** Keys beside those of the series. */
  readonly keys?: readonly { readonly name: string; readonly color: string; readonly shape: KeyShape }[];
}

/** How a key looks: a line of the chart, an upright one for an instant, or a shaded box. */
type Dash = NonNullable<LineStyle["dash"]>;
export type KeyShape = Dash | `upright ${Dash}` | "band";

type Options = Readonly<Record<string, unknown>>;

const sizes = { wide: { width: 880, height: 280 }, narrow: { width: 360, height: 260 } } as const;
const fontSize = 12;

/**
 * A figure with its keys and two drawings, of which the style sheet shows the one that fits the screen: a drawing made
 * for a wide page has unreadable text when shrunk to a phone.
 */
export function figure(chart: Chart): Html {
  const key = (name: string, color: string, shape: KeyShape): Html =>
    html`<li><span class="key ${shape}" style="color:${color}"></span>${name}</li>`;
  const keys = [
    ...chart.series.map((series) => key(series.name, series.color, series.dash ?? "solid")),
    ...(chart.keys ?? []).map(({ name, color, shape }) => key(name, color, shape)),
  ];
  return html`<figure>
<figcaption><h3>${chart.title}</h3><ul class="keys">${keys}</ul></figcaption>
${draw(chart, "wide")}
${draw(chart, "narrow")}
</figure>
`;
}

function draw(chart: Chart, size: keyof typeof sizes): Html {
  const { width, height } = sizes[size];
  const instance = init(null, null, { renderer: "svg", ssr: true, width, height });
  try {
    instance.setOption(optionsOf(chart, size));
    return accessible(instance.renderToSVGString(), chart, size);
  } finally {
    instance.dispose();
  }
}

function optionsOf({ x, y, series, marks = [], bands = [] }: Chart, size: keyof typeof sizes): Options {
  const axis = (which: Axis, grid: boolean): Options => ({
    type: which.log === true ? "log" : "value",
    ...(which.min === undefined ? {} : { min: which.min }),
    ...(which.max === undefined ? {} : { max: which.max }),
    axisLine: { show: !grid, lineStyle: { color: "var(--rule-strong)" } },
    axisTick: { show: !grid, lineStyle: { color: "var(--rule-strong)" } },
    axisLabel: { color: "var(--muted)", fontSize, formatter: which.format, hideOverlap: true },
    splitLine: { show: grid, lineStyle: { color: "var(--rule)" } },
    splitNumber: 4,
    ...(which.step === undefined ? {} : { interval: which.step }),
  });
  return {
    animation: false,
    textStyle: { fontFamily: "inherit", fontSize },
    grid: {
      left: 4,
      right: size === "wide" ? 20 : 14,
      top: 22,
      bottom: 4,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    },
    xAxis: axis(x, false),
    yAxis: axis(y, true),
    series: series.map(({ name, points, color, width, dash, level }, index) => ({
      name,
      type: "line",
      step: level === true ? "middle" : false,
      silent: true,
      showSymbol: false,
      emphasis: { disabled: true },
      lineStyle: { color, width: width ?? 1.5, type: dash ?? "solid" },
      data: points.map(([at, value]) => [at, value]),
      ...(index === 0 ? { markLine: markLine(marks), markArea: markArea(bands) } : {}),
    })),
  };
}

function markLine(marks: readonly Mark[]): Options {
  return {
    silent: true,
    animation: false,
    symbol: "none",
    data: marks.map(({ at, label, color, dash, width }) => ({
      xAxis: at,
      lineStyle: { color, type: dash ?? "solid", width: width ?? 1.25 },
      label: {
        show: label !== undefined,
        formatter: label ?? "",
        color,
        fontSize,
        fontWeight: "bold",
        textBorderWidth: 0,
      },
    })),
  };
}

function markArea(bands: readonly Band[]): Options {
  return {
    silent: true,
    animation: false,
    data: bands.map(({ from, to, color }) => [{ xAxis: from, itemStyle: { color } }, { xAxis: to }]),
  };
}

/** Names the drawing for screen readers, makes its ids unique in the page, and drops what only a live chart needs. */
function accessible(svg: string, chart: Chart, size: keyof typeof sizes): Html {
  const { width, height } = sizes[size];
  const id = `${chart.id}-${size}`;
  const body = svg
    .replace(/^[\s\S]*?<svg[^>]*>/, "")
    .replace(/<style\s*>[\s\S]*?<\/style>/, "")
    .replaceAll(/ (?:class|ecmeta_[a-z_]+|pointer-events)="[^"]*"/g, "")
    .replaceAll(/\bzr\d+-/g, `${id}-`);
  const open = html`<svg class="${size}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}-title ${id}-desc">
<title id="${id}-title">${chart.title}</title>
<desc id="${id}-desc">${chart.description}</desc>`;
  return new Html(`${open.text}${body}`);
}
