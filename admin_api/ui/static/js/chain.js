// Checks the hash chain of audit entries as neuronode_router/control/chain.py builds it. It must not know the screen.

// Every field but the hash itself, keys sorted, no white space, ASCII only: what Python's json.dumps writes.
function canonical(value, name) {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const fields = Object.keys(value).sort().map((key) => `${text(key)}:${canonical(value[key], key)}`);
    return `{${fields.join(",")}}`;
  }
  if (typeof value === "string") return text(value);
  // A time is a float in Python, and is written as one even where it is whole.
  if (name === "at" && Number.isInteger(value)) return `${value}.0`;
  return String(value);
}

const text = (value) =>
  JSON.stringify(value).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

const LATER = ["bindings", "canary", "steering"]; // fields without which rows are hashed where they are empty

export async function entryHash({ hash, ...fields }) {
  const entry = Object.fromEntries(Object.entries(fields).filter(([name, value]) => value || !LATER.includes(name)));
  const bytes = new TextEncoder().encode(canonical(entry));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// `entries` are newest first; with `gaps` they are a selection, and only each entry itself is checked.
// Returns {state: "whole" | "broken" | "unchecked", revision}.
export async function checkChain(entries, { gaps }) {
  if (!globalThis.crypto?.subtle) return { state: "unchecked" }; // browsers offer it on https and localhost only
  for (const [place, entry] of entries.entries()) {
    const older = entries[place + 1];
    const follows = gaps || !older || (older.revision === entry.revision - 1 && older.hash === entry.previous_hash);
    if (!follows || (await entryHash(entry)) !== entry.hash) return { state: "broken", revision: entry.revision };
  }
  return { state: "whole" };
}
