// What the encoders read of a prompt, and whether all of it went in.

import { Card } from "../ui/card.js";
import { Facts } from "../ui/facts.js";
import { Table } from "../ui/table.js";
import { html } from "../vdom.js";
import { number, say } from "../views/saying.js";

export function ReceiptOf({ receipt }) {
  if (!receipt || !Array.isArray(receipt.tokens)) return null;
  const rows = receipt.tokens.map((read, place) => ({ id: place + 1, read, dropped: receipt.tokens_dropped?.[place] ?? 0 }));
  const columns = [
    { head: say("encoder"), cell: (row) => row.id },
    { head: say("tokens_read"), numeric: true, cell: (row) => number(row.read) },
    { head: say("tokens_dropped"), numeric: true, cell: (row) => number(row.dropped) },
    { head: say("chunks"), numeric: true, cell: () => number(receipt.chunks) },
  ];
  return html`
    <${Card} title=${say("receipt")}>
      <p>${receipt.whole ? say("receipt_whole") : say("receipt_cut")}</p>
      <${Table} name=${say("receipt")} columns=${columns} rows=${rows} />
      <${Facts} facts=${[
        [say("words_count"), number(receipt.words)],
        [say("words_dropped"), receipt.words_dropped > 0 && number(receipt.words_dropped)],
        [say("weighted"), receipt.weighted > 0 && number(receipt.weighted)],
      ]} />
    <//>
  `;
}
