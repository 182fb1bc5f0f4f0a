import { Html, html } from "./html.ts";

/** The two drawings of a figure: text made for a wide page cannot be read when shrunk to a phone. */
export const sizes = { wide: 880, narrow: 360 } as const;
export type Size = keyof typeof sizes;

/** What every drawing is called. */
export interface Caption {
  /** Unique in the page; letters only. */
  readonly id: string;
  readonly title: string;
  /** What a reader who does not see the figure needs to know. */
  readonly description: string;
}

/** How a key looks: a line of the chart, an upright one for an instant, a shaded box or a sign. */
type Dash = "solid" | "dashed" | "dotted";
export type KeyShape = Dash | `upright ${Dash}` | "band" | "swatch" | "ring" | "cross";

/** One entry of a figure's legend. */
export interface Key {
  readonly name: string;
  readonly color: string;
  readonly shape: KeyShape;
}

/** A drawing with a name for screen readers. */
export function drawing({ id, title, description }: Caption, size: Size, height: number, body: string): Html {
  const name = `${id}-${size}`;
  const open = html`<svg class="${size}" viewBox="0 0 ${sizes[size]} ${height}" role="img" aria-labelledby="${name}-title ${name}-desc">
<title id="${name}-title">${title}</title>
<desc id="${name}-desc">${description}</desc>`;
  return new Html(`${open.text}${body}</svg>`);
}

/** A figure with its legend and both drawings, of which the style sheet shows the one that fits the screen. */
export function framed(title: string, keys: readonly Key[], draw: (size: Size) => Html): Html {
  const legend = keys.map(
    ({ name, color, shape }) => html`<li><span class="key ${shape}" style="color:${color}"></span>${name}</li>`,
  );
  return html`<figure>
<figcaption><h3>${title}</h3><ul class="keys">${legend}</ul></figcaption>
${draw("wide")}
${draw("narrow")}
</figure>
`;
}

/** A coordinate with at most one decimal. */
export const px = (value: number): string => String(Math.round(value * 10) / 10);

/** A text cut to so many characters. */
export const shortened = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;
