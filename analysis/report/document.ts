import { Html, html } from "./html.ts";
import { style } from "./style.ts";

/** A part of a page that the contents lead to. */
export interface Section {
  /** Unique in the page; letters only. */
  readonly id: string;
  readonly title: string;
  readonly content: Html;
}

const themes = [
  ["auto", "as the system"],
  ["light", "light"],
  ["dark", "dark"],
] as const;

/** One HTML document without script or request: skip link, choice of colours, header, contents and sections. */
export function document(page: { title: string; header: Html; sections: readonly Section[] }): string {
  const choices = themes.map(
    ([name, label], index) =>
      html`<label><input type="radio" name="theme" id="theme-${name}"${index === 0 ? html` checked` : ""}>${label}</label>`,
  );
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${page.title}</title>
<style>${new Html(style)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the report</a>
<fieldset class="theme"><legend>Colours</legend>${choices}</fieldset>
<main id="content" tabindex="-1">
${page.header}
<nav aria-label="Contents"><ul>${page.sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
${page.sections.map(({ id, title, content }) => html`<section id="${id}" aria-labelledby="${id}-heading"><h2 id="${id}-heading">${title}</h2>\n${content}</section>\n`)}
</main>
</body>
</html>
`.text;
}
