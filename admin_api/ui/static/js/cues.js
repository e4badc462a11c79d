// Finds in a text the words that a cue of the classifier stands for, to mark them. The proxy decides which cues there
// are (cues.txt explains how they are written) and sends no text back, so the places are found here.

const REACH = 8; // words between the parts of a cue
const FOLDS = { ä: "ae", ö: "oe", ü: "ue", ß: "ss" };

const fold = (text) => text.normalize("NFC").toLowerCase().replace(/[äöüß]/g, (char) => FOLDS[char]).replace(/\d/g, "0");

// Returns [{text, marked}], which joined give `text`.
export function markCues(text, cues) {
  const words = [...text.matchAll(/[\p{L}\p{N}]+/gu)].map((found) => ({
    start: found.index, end: found.index + found[0].length, folded: fold(found[0]),
  }));
  const hits = new Set();
  for (const cue of cues) {
    const parts = fold(cue).replace(/^\^/, "").split(/[^\p{L}\p{N}*]+/u).filter(Boolean);
    for (let at = 0; parts.length && at < words.length; at += 1) {
      const places = placesFrom(words, at, parts);
      for (const place of places ?? []) hits.add(place);
    }
  }
  const pieces = [];
  let done = 0;
  for (const place of [...hits].sort((a, b) => a - b)) {
    const { start, end } = words[place];
    pieces.push({ text: text.slice(done, start), marked: false }, { text: text.slice(start, end), marked: true });
    done = end;
  }
  return [...pieces, { text: text.slice(done), marked: false }];
}

// The places of all parts, the first at `at`, or null where they do not follow each other closely.
function placesFrom(words, at, parts) {
  if (!fits(words[at].folded, parts[0])) return null;
  const places = [at];
  for (const part of parts.slice(1)) {
    const last = places.at(-1);
    const next = words.slice(last + 1, last + 1 + REACH).findIndex(({ folded }) => fits(folded, part));
    if (next < 0) return null;
    places.push(last + 1 + next);
  }
  return places;
}

function fits(word, part) {
  if (part.startsWith("*")) return word.endsWith(part.slice(1));
  return part.endsWith("*") ? word.startsWith(part.slice(0, -1)) : word === part;
}
