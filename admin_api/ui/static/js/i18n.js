// The page's words in two languages. It must not know where they are shown.

import { de } from "./texts_de.js";
import { en } from "./texts_en.js";
import { createStore } from "./store.js";

const TEXTS = { en, de };
export const LANGUAGES = { en: "English", de: "Deutsch" };
export const THEMES = ["auto", "light", "dark"];

function preferred() {
  const asked = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2));
  return asked.find((tag) => tag in TEXTS) ?? "en";
}

// Preferences, not secrets: these may outlive the tab.
function stored(name) {
  try {
    return localStorage.getItem(`neuronode.${name}`);
  } catch {
    return null;
  }
}

export const preferences = createStore({
  language: stored("language") in TEXTS ? stored("language") : preferred(),
  theme: THEMES.includes(stored("theme")) ? stored("theme") : "auto",
});

export function prefer(name, value) {
  try {
    localStorage.setItem(`neuronode.${name}`, value);
  } catch {
    // Blocked: the choice holds until the page is left.
  }
  preferences.set({ [name]: value });
}

export const language = () => preferences.get().language;

// A key without a text is a fault of the page: it shows itself, and tests see it in the console.
function textOf(key, instead) {
  const text = TEXTS[language()][key];
  if (text === undefined) console.error(`no text: ${key}`);
  return text ?? instead;
}

// Returns the text of a key with its {places} filled in. What follows a count stands in its plural: {count|request|requests}.
export function t(key, places = {}) {
  return textOf(key, key).replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name, one, other) =>
    one === undefined ? (places[name] ?? "") : plural(places[name]) === "one" ? one : other);
}

const rules = {};

// Counts come as numbers or as they are written for people.
function plural(count) {
  const of = (rules[language()] ??= new Intl.PluralRules(language()));
  return of.select(typeof count === "number" ? count : count === "1" ? 1 : 2);
}

export const known = (group, value) => `${group}.${value}` in TEXTS[language()];

// A word that people may have chosen themselves: translated where it is one of ours, as it is where not.
export const label = (group, value) => (known(group, value) ? word(group, value) : String(value));

// A word of a closed vocabulary of the API, such as a state.
export const word = (group, value) => (value === null || value === undefined || value === "" ? "" : textOf(`${group}.${value}`, String(value)));
