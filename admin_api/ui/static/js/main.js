// Starts the page.

import { html, render } from "./dom.js";
import { App } from "./app.js";
import { resume, signInWithClaim } from "./live.js";
import { onClaim } from "./session.js";

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);

resume();
onClaim((claim) => {
  // Whoever LiteLLM's UI names goes before the key of this tab, which may be another one's. A page that is reloaded is sent the
  // old claim again, which lives for seconds: then the key stays.
  signInWithClaim(claim).catch(() => {});
});
