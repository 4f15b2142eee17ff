// How each kind of field is typed: what of a persona becomes words and rows in a form, and these become a persona again.

import { newKey } from "../api.js";

const APART = { lines: "\n", paragraphs: "\n\n" };

/** A new row of a list. Its `key` is the form's own, and goes nowhere else. */
export const newRow = (kind) => ({ key: newKey(), ...ROWS[kind].blank });

/** Rows have keys by their place until they are touched, so that none is taken for another while they are not. */
const keyed = (rows) => rows.map((row, place) => ({ key: String(place), ...row }));

const words = (text) => text.split("\n").map((one) => one.trim()).filter(Boolean);
const amount = (text) => (text.trim() === "" ? null : Number(text));
const known = (value) => (value === null || value === undefined ? "" : String(value));

/** What stands in a list by rows: how a row begins, what it is made of, and what becomes of it. */
const ROWS = {
  palette: {
    blank: { colour: "#8a8672" },
    rows: (colours) => colours.map((colour) => ({ colour })),
    value: (rows) => rows.map(({ colour }) => colour),
  },
  loras: {
    blank: { name: "", weight: "1" },
    rows: (weights) => Object.entries(weights).map(([name, weight]) => ({ name, weight: String(weight) })),
    value: (rows) => Object.fromEntries(rows.map(({ name, weight }) => [name.trim(), Number(weight)])),
  },
  described: {
    blank: { name: "", description: "" },
    rows: (those) => those.map(({ name, description }) => ({ name, description })),
    value: (rows) => rows.map(({ name, description }) => ({ name: name.trim(), description: description.trim() })),
  },
  examples: {
    blank: { text: "" },
    rows: (texts) => texts.map((text) => ({ text })),
    value: (rows) => rows.map(({ text }) => text.trim()).filter(Boolean),
  },
  interests: {
    blank: { name: "", words: "", remarks: "", questions: "" },
    rows: (those) => those.map((one) => ({ name: one.name, words: one.words.join("\n"), remarks: one.remarks.join("\n"), questions: one.questions.join("\n") })),
    value: (rows) => rows.map((row) => ({ name: row.name.trim(), words: words(row.words), remarks: words(row.remarks), questions: words(row.questions) })),
  },
  entries: {
    blank: { ...entryTyped({}), fresh: true },
    rows: (those) => those.map(entryTyped),
    value: (rows) => rows.map(entryOf),
  },
};

/** An entry of a lorebook. What we do not show of it (`entry`) goes back as it came. */
function entryTyped(entry) {
  return {
    entry,
    name: entry.name ?? "",
    keys: (entry.keys ?? []).join("\n"),
    secondary_keys: (entry.secondary_keys ?? []).join("\n"),
    content: entry.content ?? "",
    enabled: entry.enabled ?? true,
    constant: entry.constant ?? false,
    selective: entry.selective ?? false,
    case_sensitive: entry.case_sensitive ?? false,
    use_regex: entry.use_regex ?? false,
    position: entry.position ?? "before_char",
    insertion_order: String(entry.insertion_order ?? 0),
    priority: String(entry.priority ?? 0),
  };
}

function entryOf({ entry, key, fresh, ...row }) {
  const numbers = { insertion_order: Number(row.insertion_order), priority: Number(row.priority) };
  return { ...entry, ...row, ...numbers, keys: words(row.keys), secondary_keys: words(row.secondary_keys) };
}

/** A lorebook: its entries by rows, and how they are looked for. */
function bookTyped(book) {
  return {
    book,
    name: book?.name ?? "",
    scan_depth: known(book?.scan_depth),
    token_budget: known(book?.token_budget),
    recursive_scanning: book?.recursive_scanning ?? false,
    rows: keyed(ROWS.entries.rows(book?.entries ?? [])),
  };
}

function bookOf({ book, rows, ...typed }) {
  if (!book && rows.length === 0) return null;
  const numbers = { scan_depth: amount(typed.scan_depth), token_budget: amount(typed.token_budget) };
  return { ...book, ...typed, ...numbers, entries: ROWS.entries.value(rows) };
}

export function asTyped(value, kind) {
  if (kind === "lorebook") return bookTyped(value);
  if (ROWS[kind]) return keyed(ROWS[kind].rows(value));
  if (value === null || value === undefined) return "";
  return APART[kind] ? value.join(APART[kind]) : String(value);
}

export function asValue(typed, kind) {
  if (kind === "lorebook") return bookOf(typed);
  if (ROWS[kind]) return ROWS[kind].value(typed);
  if (kind === "number") return amount(typed);
  if (kind === "lines") return words(typed);
  if (kind === "paragraphs") return typed.split(/\n{2,}/).map((one) => one.trim()).filter(Boolean);
  return typed;
}

/** Whether both are typed alike. */
export const isSame = (one, other) => one === other || JSON.stringify(one) === JSON.stringify(other);
