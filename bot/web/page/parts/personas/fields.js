// What of a persona is shown and edited, by where it stands in it; and how two of them differ.

/**
 * `kind`: line, words (several lines), number, lines (one a line), paragraphs (blank lines between), rating, style; and
 * those by rows or of many fields, as `kinds.js` has them. `least`, `most`, `step`: of a number.
 */
export const FIELDS = [
  {
    group: "who",
    fields: [
      { path: "name", kind: "line" },
      { path: "nickname", kind: "line" },
      { path: "age", kind: "number", most: 10_000, step: 1 },
      { path: "pronouns", kind: "line" },
      { path: "occupation", kind: "line" },
      { path: "home", kind: "line" },
      { path: "rating", kind: "rating" },
      { path: "tags", kind: "lines" },
      { path: "description", kind: "words" },
    ],
  },
  {
    group: "nature",
    fields: [
      { path: "personality.summary", kind: "words" },
      { path: "personality.traits", kind: "lines" },
      { path: "personality.likes", kind: "lines" },
      { path: "personality.dislikes", kind: "lines" },
      { path: "personality.quirks", kind: "lines" },
      { path: "interests", kind: "interests" },
    ],
  },
  {
    group: "voice",
    fields: [
      { path: "voice.manner", kind: "words" },
      { path: "voice.openers", kind: "lines" },
      { path: "voice.asides", kind: "lines" },
      { path: "voice.comforts", kind: "lines" },
      { path: "voice.farewells", kind: "lines" },
      { path: "voice.avoids", kind: "lines" },
      { path: "greetings", kind: "paragraphs" },
      { path: "group_greetings", kind: "paragraphs" },
      { path: "scenario", kind: "words" },
      { path: "examples", kind: "examples" },
    ],
  },
  {
    group: "looks",
    fields: [
      { path: "appearance.face", kind: "line" },
      { path: "appearance.hair", kind: "line" },
      { path: "appearance.eyes", kind: "line" },
      { path: "appearance.skin", kind: "line" },
      { path: "appearance.build", kind: "line" },
      { path: "appearance.marks", kind: "line" },
      { path: "appearance.places", kind: "lines" },
      { path: "appearance.wardrobe", kind: "described" },
      { path: "appearance.poses", kind: "described" },
    ],
  },
  {
    group: "pictures",
    fields: [
      { path: "picture.style", kind: "style" },
      { path: "picture.palette", kind: "palette" },
      { path: "picture.light", kind: "line" },
      { path: "picture.avoid", kind: "line" },
      { path: "picture.direction", kind: "line" },
      { path: "picture.loras", kind: "loras" },
      { path: "picture.instructions", kind: "words" },
    ],
  },
  { group: "world", fields: [{ path: "lorebook", kind: "lorebook" }] },
  {
    group: "model",
    fields: [
      { path: "system_prompt", kind: "words" },
      { path: "post_history_instructions", kind: "words" },
      { path: "model", kind: "line" },
      { path: "creator_notes", kind: "words" },
    ],
  },
  {
    group: "sampling",
    fields: [
      { path: "sampling.temperature", kind: "number", most: 5 },
      { path: "sampling.top_p", kind: "number", most: 1 },
      { path: "sampling.top_k", kind: "number", most: 1000, step: 1 },
      { path: "sampling.min_p", kind: "number", most: 1 },
      { path: "sampling.repeat_penalty", kind: "number", least: 0.5, most: 2 },
      { path: "sampling.frequency_penalty", kind: "number", least: -2, most: 2 },
      { path: "sampling.presence_penalty", kind: "number", least: -2, most: 2 },
      { path: "sampling.dry", kind: "number", most: 5 },
      { path: "sampling.xtc", kind: "number", most: 1 },
      { path: "sampling.xtc_threshold", kind: "number", most: 0.5 },
    ],
  },
];

/** What a field is called in words: `field_picture_light`. */
export const nameOf = (path) => path.replaceAll(".", "_");

export const valueAt = (persona, path) => path.split(".").reduce((here, name) => here?.[name], persona);

/** The same persona with something else in one place. */
export function withValue(persona, path, value) {
  const [name, ...rest] = path.split(".");
  return { ...persona, [name]: rest.length ? withValue(persona[name], rest.join("."), value) : value };
}

/** Every place in which two personas differ: `{path, before, after}`, as text. */
export function differences(before, after) {
  const [one, other] = [flat(before), flat(after)];
  return [...new Set([...one.keys(), ...other.keys()])]
    .filter((path) => one.get(path) !== other.get(path))
    .map((path) => ({ path, before: one.get(path) ?? "", after: other.get(path) ?? "" }));
}

function flat(value, path = "", found = new Map()) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [name, inner] of Object.entries(value)) flat(inner, path ? `${path}.${name}` : name, found);
  } else if (value !== null && value !== "" && !(Array.isArray(value) && value.length === 0)) {
    found.set(path, Array.isArray(value) ? value.map((one) => (typeof one === "object" ? JSON.stringify(one) : String(one))).join("\n") : String(value));
  }
  return found;
}
