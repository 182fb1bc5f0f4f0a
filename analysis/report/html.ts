/** Markup that is already safe to put into a page. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Content = Html | string | number | readonly Content[];

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand between tags or in a quoted attribute; control characters, which HTML forbids, are dropped. */
export function escapeHtml(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  const visible = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, "\ufffd");
  return visible.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}

function render(content: Content): string {
  if (content instanceof Html) {
    return content.text;
  }
  return Array.isArray(content) ? content.map(render).join("") : escapeHtml(String(content));
}

/** A template whose every value is escaped, except markup made by this function. */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(
    parts.map((part, index) => part + (index < values.length ? render(values[index] ?? "") : "")).join(""),
  );
}

/** Nothing. */
export const nothing = new Html("");

/** A column of a table: its head and whether it holds figures. */
export interface Column {
  readonly head: string;
  readonly figures?: boolean;
}

/** A table with a caption, column heads and a row head in the first column; it scrolls by itself on a small screen. */
export function table(caption: string, columns: readonly Column[], rows: readonly (readonly Content[])[]): Html {
  const cell = (content: Content, index: number): Html => {
    const style = columns[index]?.figures === true ? html` class="figures"` : nothing;
    return index === 0 ? html`<th scope="row"${style}>${content}</th>` : html`<td${style}>${content}</td>`;
  };
  const heads = columns.map(
    ({ head, figures }) => html`<th scope="col"${figures === true ? html` class="figures"` : nothing}>${head}</th>`,
  );
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table>
<caption><span>${caption}</span></caption>
<thead><tr>${heads}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${row.map(cell)}</tr>\n`)}</tbody>
</table></div>
`;
}
