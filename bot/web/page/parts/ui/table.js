// Rows under heads. Too wide for a phone, it scrolls by itself, by keyboard too.

import { html } from "../vdom.js";

/** `columns`: `{head, cell(row), numeric}`. `name` is told to whoever hears the page. */
export function Table({ name, columns, rows, keyOf = (row) => row.id }) {
  const look = (column) => (column.numeric ? "numeric" : undefined);
  return html`
    <div class="table" role="region" aria-label=${name} tabindex="0">
      <table>
        <thead>
          <tr>
            ${columns.map((column) => html`<th scope="col" class=${look(column)}>${column.head}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) => html`
              <tr key=${keyOf(row)}>
                ${columns.map((column) => html`<td class=${look(column)}>${column.cell(row)}</td>`)}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
