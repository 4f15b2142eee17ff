// The form in which a route is tried, as this page's own visitor; and what came back.

import { draw } from "./drawing.js";
import { example, resolved, worded } from "./schemas.js";

/** Answers longer than this are cut where they are shown. */
const LONGEST = 20_000;

export function tryingForm(doc, method, path, operation) {
  const parameters = (operation.parameters ?? []).map((one) => resolved(doc, one));
  const inputs = new Map();
  const body = operation.requestBody ? resolved(doc, operation.requestBody) : null;
  const kinds = Object.keys(body?.content ?? {});
  const json = body?.content?.["application/json"]?.schema;
  const isFile = kinds.length > 0 && !(json && resolved(doc, json).format !== "binary");
  const text = json && !isFile ? JSON.stringify(example(doc, json), null, 2) : "";
  const words = draw("textarea", { rows: String(Math.min(14, text.split("\n").length + 1)), spellcheck: "false" });
  words.value = text;
  const file = draw("input", { type: "file" });
  const answer = draw("div", { class: "docs-answer", role: "status" });

  const send = async (event) => {
    event.preventDefault();
    answer.replaceChildren("It is asked …");
    try {
      answer.replaceChildren(...(await shown(await fetch(...asked()))));
    } catch (error) {
      answer.replaceChildren(`Nothing came back: ${error.message}`);
    }
  };

  function asked() {
    let where = path;
    const search = new URLSearchParams();
    for (const one of parameters) {
      const value = inputs.get(one).value;
      if (one.in === "path") where = where.replace(`{${one.name}}`, encodeURIComponent(value));
      else if (one.in === "query" && value !== "") {
        const many = resolved(doc, one.schema).type === "array" || worded(doc, one.schema).startsWith("list");
        for (const part of many ? value.split(",") : [value]) search.append(one.name, part.trim());
      }
    }
    const told = { method: method.toUpperCase(), headers: { "X-Greenroom": "page" } };
    if (isFile) told.body = file.files[0] ?? "";
    else if (body) {
      told.headers["Content-Type"] = "application/json";
      told.body = words.value;
    }
    return [`${where}${search.size ? `?${search}` : ""}`, told];
  }

  return draw(
    "form",
    { class: "docs-try", onsubmit: send },
    parameters
      .filter((one) => one.in !== "header" && one.in !== "cookie")
      .map((one) => {
        const input = draw("input", {
          required: one.in === "path",
          placeholder: worded(doc, one.schema),
          autocomplete: "off",
        });
        inputs.set(one, input);
        return draw("label", {}, `${one.name}${one.in === "path" ? " (in the path)" : ""}`, input);
      }),
    body ? draw("label", {}, isFile ? "The file" : "The body, in JSON", isFile ? file : words) : null,
    draw("button", { type: "submit", class: method === "get" ? false : "docs-changes" }, "Try it"),
    answer,
  );
}

async function shown(answer) {
  const kind = answer.headers.get("content-type") ?? "";
  const line = draw("p", { class: answer.ok ? "docs-good" : "docs-bad" }, `${answer.status} ${answer.statusText} ${kind}`);
  if (kind.startsWith("image/")) {
    const picture = draw("img", { alt: "What came back" });
    picture.src = URL.createObjectURL(await answer.blob());
    picture.addEventListener("load", () => URL.revokeObjectURL(picture.src), { once: true });
    return [line, picture];
  }
  if (!kind.includes("json") && !kind.startsWith("text/")) {
    const bytes = (await answer.blob()).size;
    return bytes ? [line, draw("p", {}, `${bytes} bytes`)] : [line];
  }
  const text = await answer.text();
  return [line, draw("pre", { tabindex: "0" }, cut(pretty(text, kind)))];
}

function pretty(text, kind) {
  try {
    return kind.includes("json") && !kind.includes("ndjson") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  } catch {
    return text;
  }
}

function cut(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}\n… and ${text.length - LONGEST} more` : text;
}
