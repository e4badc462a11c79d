// Keeps the key of this tab: in sessionStorage, or in memory where the browser forbids that. Never in the address,
// a cookie or localStorage. It must not know what the key is used for.

const NAME = "neuronode.key";

let memory = null;

export function storedKey() {
  try {
    return sessionStorage.getItem(NAME) ?? memory;
  } catch {
    return memory;
  }
}

export function keepKey(key) {
  memory = key;
  try {
    sessionStorage.setItem(NAME, key);
  } catch {
    // Storage is blocked, as in some embedded pages: the key lives until the page is left.
  }
}

export function forgetKey() {
  memory = null;
  try {
    sessionStorage.removeItem(NAME);
  } catch {
    // Nothing was stored.
  }
}

export const embedded = window.parent !== window;

// LiteLLM's UI posts a short-lived identity claim to the pages it embeds. Only the page that embeds this one is
// listened to, and frame-ancestors says who that can be.
export function onClaim(use) {
  window.addEventListener("message", (event) => {
    const { data } = event;
    if (event.source !== window.parent || !embedded) return;
    if (data?.type === "litellm-auth" && typeof data.session_claim === "string") use(data.session_claim);
  });
}
