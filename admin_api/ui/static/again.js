// Loads the page anew where a file of it cannot be had: while proxies are upgraded one by one, the page may come from a new process
// and its files from an old one, which has none of that version. No module, and no version in its address: every process has it.

const TEXTS = {
  de: "Der Proxy hat gerade nicht alle Dateien dieser Seite. Sie lädt sich gleich neu.",
  en: "The proxy does not have all files of this page right now. It loads anew in a moment.",
};
const WAIT_MS = 2_000;
let waits = false;

addEventListener("error", ({ target }) => {
  // A module that cannot be had counts as the script that imports it.
  const needed = target instanceof HTMLScriptElement || (target instanceof HTMLLinkElement && target.rel === "stylesheet");
  if (!needed || waits) return;
  waits = true;
  const lang = navigator.language.startsWith("de") ? "de" : "en";
  const say = () => document.body.append(Object.assign(document.createElement("p"), { lang, role: "status", className: "plain", textContent: TEXTS[lang] }));
  if (document.body) say();
  else addEventListener("DOMContentLoaded", say);
  setTimeout(() => location.reload(), WAIT_MS);
}, true);
