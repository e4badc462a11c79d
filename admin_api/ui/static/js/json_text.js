// Reads JSON as people type it: the value, and on which line each part stands. It must not know what the value means.

export class Mistake extends Error {
  constructor(line) {
    super("json_invalid");
    this.line = line;
  }
}

const SPACE = /\s*/y;
const SCALAR = /"(?:[^"\\\u0000-\u001f]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

// Returns {value, lines}: `lines` maps "tiers.fast[0]" to a line, counted from 1. Throws a Mistake at the first line that is no JSON.
export function readJson(text) {
  const lines = new Map();
  let at = 0;
  const line = () => text.slice(0, at).split("\n").length;
  const fail = () => {
    throw new Mistake(line());
  };
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found?.[0];
  };
  const take = (char) => {
    match(SPACE);
    if (text[at] !== char) return false;
    at += 1;
    return true;
  };
  const scalar = () => {
    match(SPACE);
    const found = match(SCALAR) ?? fail();
    try {
      return JSON.parse(found);
    } catch {
      return fail();
    }
  };
  const many = (end, each) => {
    if (take(end)) return;
    do each();
    while (take(","));
    if (!take(end)) fail();
  };
  const value = (path) => {
    match(SPACE);
    if (!lines.has(path)) lines.set(path, line());
    if (take("{")) {
      const found = {};
      many("}", () => {
        match(SPACE);
        const here = line();
        const key = text[at] === '"' ? scalar() : fail();
        const inner = path ? `${path}.${key}` : key;
        if (Object.hasOwn(found, key) || !take(":")) fail();
        lines.set(inner, here);
        found[key] = value(inner);
      });
      return found;
    }
    if (!take("[")) return scalar();
    const found = [];
    many("]", () => found.push(value(`${path}[${found.length}]`)));
    return found;
  };
  const whole = value("");
  match(SPACE);
  if (at < text.length) fail();
  return { value: whole, lines };
}

// The line of a path, or of the nearest part around it that is there.
export function lineOf(lines, path) {
  for (let part = path; part; part = part.replace(/(\[\d+\]|\.?[^.[\]]+)$/, "")) if (lines.has(part)) return lines.get(part);
  return 1;
}

// The text value in which a place lies, as {from, to, value}; null where it lies in none, or in a key.
export function stringAt(text, at) {
  const start = text.lastIndexOf("\n", at - 1) + 1;
  const quotes = [...text.slice(start, at).matchAll(/(?<!\\)"/g)];
  if (quotes.length % 2 === 0) return null;
  const from = start + quotes.at(-1).index + 1;
  const rest = /^[^"\n]*/.exec(text.slice(at))[0];
  const to = at + rest.length;
  return /^"\s*:/.test(text.slice(to)) ? null : { from, to, value: text.slice(from, to) };
}

// What differs between two documents, as [{path, before, after}]; lists count as one value.
export function differences(before, after, path = "") {
  const isMap = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (isMap(before) && isMap(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => differences(before[key], after[key], path ? `${path}.${key}` : key));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
}
