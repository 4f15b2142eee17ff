// Reads the document: what a reference means, what a value looks like in words, and an example of it to begin with.

const DEEPEST = 6;
/** A bound beyond this only keeps numbers storable, and tells nobody anything. */
const TELLING = 2 ** 40;

export function resolved(doc, one) {
  let found = one ?? {};
  for (let hops = 0; found.$ref && hops < 20; hops += 1) {
    found = found.$ref
      .split("/")
      .slice(1)
      .reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], doc) ?? {};
  }
  return found;
}

/** A few words for a value: `string, at most 200`, `one of a, b`, `list of JobOut`. */
export function worded(doc, given) {
  const name = given?.$ref?.split("/").at(-1);
  const schema = resolved(doc, given);
  if (schema.enum) return `one of ${schema.enum.join(", ")}`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return several.map((one) => worded(doc, one)).join(" or ");
  if (schema.type === "array") return `list of ${worded(doc, schema.items)}`;
  if (name) return name;
  const bounds = [
    ["minimum", "from"],
    ["maximum", "to"],
    ["minLength", "at least"],
    ["maxLength", "at most"],
  ];
  const told = bounds
    .filter(([key]) => Math.abs(schema[key]) < TELLING)
    .map(([key, word]) => `${word} ${schema[key]}`);
  return [schema.format === "binary" ? "a file" : (schema.type ?? "anything"), ...told].join(", ");
}

/** The fields of an object: their names, words, and whether they have to be there. */
export function fields(doc, given) {
  const schema = resolved(doc, given);
  const needed = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, one]) => ({
    name,
    words: worded(doc, one),
    needed: needed.has(name),
    usual: resolved(doc, one).default ?? one.default,
    says: one.description ?? "",
  }));
}

/** Something that could be sent. Only what has to be there is in it. */
export function example(doc, given, depth = 0) {
  const schema = resolved(doc, given);
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return example(doc, several[0], depth + 1);
  if (depth > DEEPEST) return null;
  if (schema.type === "object") {
    const needed = new Set(schema.required ?? []);
    const told = Object.entries(schema.properties ?? {}).filter(([name]) => needed.has(name));
    return Object.fromEntries(told.map(([name, one]) => [name, example(doc, one, depth + 1)]));
  }
  if (schema.type === "array") return schema.minItems ? [example(doc, schema.items, depth + 1)] : [];
  if (schema.type === "integer" || schema.type === "number") return schema.minimum > -1 ? schema.minimum : 0;
  if (schema.type === "boolean") return false;
  return schema.type === "string" ? "" : null;
}
