// What the address says after "#": the screen, and what it is narrowed to. It must not know what any of it means.

import { createStore, useStore } from "./store.js";

function read() {
  const [path, query = ""] = location.hash.replace(/^#\//, "").split("?");
  return { screen: path, asked: Object.fromEntries(new URLSearchParams(query)) };
}

const address = createStore(read());
let held = () => false;
window.addEventListener("hashchange", () => {
  if (held()) history.pushState(null, "", hashOf(address.get()));
  else address.set(read());
});

// While `holds` returns true the screen stays, as where something typed would be lost. Returns what ends it.
export function holdScreen(holds) {
  held = holds;
  return () => {
    held = () => false;
  };
}

export const useAddress = () => useStore(address);

// Changes what the screen is narrowed to; an empty value takes a name out. The way back leads past it, to the screen before.
export function narrow(changes) {
  const { screen, asked } = read();
  const left = Object.entries({ ...asked, ...changes }).filter(([, value]) => value !== "" && value !== null);
  history.replaceState(null, "", hashOf({ screen, asked: left }));
  address.set(read());
}

function hashOf({ screen, asked }) {
  const query = new URLSearchParams(asked).toString();
  return `#/${screen}${query && `?${query}`}`;
}
