import { LineChart } from "echarts/charts";
import { GridComponent, MarkAreaComponent, MarkLineComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import type { Html } from "./html.ts";
import { type Caption, drawing, framed, type Key, type Size, sizes } from "./svg.ts";

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

export interface Chart extends Caption {
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly marks?: readonly Mark[];
  readonly bands?: readonly Band[];
  /** Keys beside those of the series. */
  readonly keys?: readonly Key[];
}

type Options = Readonly<Record<string, unknown>>;

const heights = { wide: 280, narrow: 260 } as const;
const fontSize = 12;

/** A chart as a figure with its keys. */
export function figure(chart: Chart): Html {
  const lines = chart.series.map(({ name, color, dash }): Key => ({ name, color, shape: dash ?? "solid" }));
  return framed(chart.title, [...lines, ...(chart.keys ?? [])], (size) => draw(chart, size));
}

function draw(chart: Chart, size: Size): Html {
  const instance = init(null, null, { renderer: "svg", ssr: true, width: sizes[size], height: heights[size] });
  try {
    instance.setOption(optionsOf(chart, size));
    return drawing(chart, size, heights[size], bodyOf(instance.renderToSVGString(), `${chart.id}-${size}`));
  } finally {
    instance.dispose();
  }
}

function optionsOf({ x, y, series, marks = [], bands = [] }: Chart, size: Size): Options {
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

/** What echarts drew, with ids unique in the page, and without what only a live chart needs. */
function bodyOf(svg: string, id: string): string {
  return svg
    .replace(/^[\s\S]*?<svg[^>]*>/, "")
    .replace(/<\/svg>\s*$/, "")
    .replace(/<style\s*>[\s\S]*?<\/style>/, "")
    .replaceAll(/ (?:class|ecmeta_[a-z_]+|pointer-events)="[^"]*"/g, "")
    .replaceAll(/\bzr\d+-/g, `${id}-`);
}
