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

// Returns the text of a key with its {places} filled in. An unknown key shows itself.
export function t(key, places = {}) {
  const text = TEXTS[language()][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => places[name] ?? "");
}

export const known = (group, value) => `${group}.${value}` in TEXTS[language()];

// A word of a closed vocabulary of the API, such as a state: translated where known, as it is where not.
export const word = (group, value) => TEXTS[language()][`${group}.${value}`] ?? String(value ?? "");
