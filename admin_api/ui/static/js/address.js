// What the address says after "#": the screen, and what it is narrowed to. It must not know what any of it means.

import { createStore, useStore } from "./store.js";

function read() {
  const [path, query = ""] = location.hash.replace(/^#\//, "").split("?");
  return { screen: path, asked: Object.fromEntries(new URLSearchParams(query)) };
}

const address = createStore(read());
window.addEventListener("hashchange", () => address.set(read()));

export const useAddress = () => useStore(address);

// Changes what the screen is narrowed to; an empty value takes a name out. The way back leads past it, to the screen before.
export function narrow(changes) {
  const { screen, asked } = read();
  const left = Object.entries({ ...asked, ...changes }).filter(([, value]) => value !== "" && value !== null);
  const query = new URLSearchParams(left).toString();
  history.replaceState(null, "", `#/${screen}${query && `?${query}`}`);
  address.set(read());
}
