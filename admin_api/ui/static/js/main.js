// Starts the page.

import { html, render } from "./dom.js";
import { App } from "./app.js";
import { resume, signInWithClaim } from "./live.js";
import { onClaim, storedKey } from "./session.js";

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);

resume();
onClaim((claim) => {
  // A stored key is asked for first: a claim lives for seconds, and a page that is reloaded is sent the old one again.
  if (!storedKey()) signInWithClaim(claim).catch(() => {});
});
