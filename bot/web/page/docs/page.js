// The API's document as a page: every route with its scope, what it takes and answers, and a form to try it.

import { draw } from "./drawing.js";
import { fields, resolved, worded } from "./schemas.js";
import { tryingForm } from "./trying.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

const main = document.getElementById("operations");
const search = document.getElementById("search");

async function read() {
  const answer = await fetch("/api/v1/openapi.json");
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer.json();
}

function operation(doc, path, method, told) {
  const id = `${method} ${path}`;
  const scopes = told["x-scope"] ?? [];
  const head = draw(
    "summary",
    {},
    draw("span", { class: `docs-method docs-${method}` }, method.toUpperCase()),
    " ",
    draw("code", {}, path),
    " ",
    draw("span", { class: "docs-what" }, told.summary ?? ""),
    scopes.length ? draw("span", { class: "docs-scope" }, scopes.join(" or ")) : null,
  );
  const box = draw("details", { id }, head);
  box.dataset.words = `${id} ${told.summary ?? ""} ${told.description ?? ""}`.toLowerCase();
  // A form of a hundred routes is only made for whoever opens it.
  box.addEventListener("toggle", () => box.open && box.append(...inside(doc, path, method, told)), { once: true });
  return box;
}

function inside(doc, path, method, told) {
  const parameters = (told.parameters ?? []).map((one) => resolved(doc, one));
  const body = told.requestBody ? resolved(doc, told.requestBody).content : null;
  return [
    ...(told.description ?? "").split("\n\n").map((words) => draw("p", {}, words)),
    parameters.length ? table("It takes", parameters.map((one) => row(one.name, worded(doc, one.schema), one.required))) : null,
    ...Object.entries(body ?? {}).map(([kind, { schema }]) => {
      const rows = fields(doc, schema).map((one) => row(one.name, one.words, one.needed, one.usual));
      return rows.length ? table(`The body, ${kind}`, rows) : draw("p", {}, `The body: ${kind}`);
    }),
    ...answers(doc, told.responses ?? {}),
    tryingForm(doc, method, path, told),
  ].filter(Boolean);
}

function answers(doc, responses) {
  const good = Object.entries(responses).filter(([status]) => status < "400");
  const bad = Object.keys(responses).filter((status) => status >= "400");
  return [
    ...good.map(([status, given]) => {
      const content = Object.entries(resolved(doc, given).content ?? {});
      const json = content.find(([kind]) => kind === "application/json");
      const rows = json ? fields(doc, json[1].schema).map((one) => row(one.name, one.words, false)) : [];
      const kinds = content.map(([kind]) => kind).join(", ") || "nothing";
      return rows.length ? table(`Answers ${status}`, rows) : draw("p", {}, `Answers ${status}: ${kinds}`);
    }),
    bad.length ? draw("p", { class: "docs-problems" }, `Problems: ${bad.join(", ")}`) : null,
  ];
}

function table(caption, rows) {
  return draw("div", { class: "docs-table", tabindex: "0" }, draw("table", {}, draw("caption", {}, caption), draw("tbody", {}, rows)));
}

function row(name, words, needed, usual) {
  const default_ = usual === undefined || usual === null || usual === "" ? "" : ` (else ${JSON.stringify(usual)})`;
  return draw("tr", {}, draw("th", { scope: "row" }, name, needed ? " *" : ""), draw("td", {}, `${words}${default_}`));
}

function show(doc) {
  document.getElementById("about").textContent = doc.info.description ?? "";
  const groups = new Map();
  for (const [path, operations] of Object.entries(doc.paths)) {
    for (const method of METHODS.filter((one) => operations[one])) {
      const name = operations[method].tags?.[0] ?? path.split("/").filter((part) => !["", "api", "v1"].includes(part))[0] ?? path;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(operation(doc, path, method, operations[method]));
    }
  }
  main.replaceChildren(...[...groups].map(([name, all]) => draw("section", {}, draw("h2", {}, name), all)));
}

function sift() {
  const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of main.querySelectorAll("section")) {
    const all = [...section.querySelectorAll("details")];
    for (const one of all) one.hidden = !wanted.every((word) => one.dataset.words.includes(word));
    section.hidden = all.every((one) => one.hidden);
  }
}

search.addEventListener("input", sift);
try {
  show(await read());
} catch (error) {
  main.replaceChildren(`The routes could not be read: ${error.message}`);
}
