// Asks the admin API: one function, which adds the key and turns every failure into a Refusal.
// It must not know screens.

import { storedKey } from "./session.js";

// The page stands at <prefix>/ui/, so this is <prefix>/ whatever the prefix and root path are.
const ROOT = new URL("../", document.baseURI);

export class Refusal extends Error {
  constructor({ status, code, title = "", detail = "", fix = "", problems = [], etag = null }) {
    super(detail || title || code);
    Object.assign(this, { status, code, title, detail, fix, problems, etag });
  }

  // The proxy has no such route, or not yet what it needs: the screen says so instead of failing.
  get absent() {
    return this.status === 404 || this.status === 405 || this.code === "not_ready";
  }
}

export async function send(path, { method = "GET", body, ifMatch, headers = {}, signal } = {}) {
  const sent = { Accept: "application/json", ...headers };
  const key = storedKey();
  if (key) sent.Authorization = `Bearer ${key}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  if (ifMatch) sent["If-Match"] = ifMatch;
  let response;
  try {
    response = await fetch(new URL(path, ROOT), {
      method, headers: sent, signal, cache: "no-store", credentials: "omit", redirect: "error",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal({ status: 0, code: "offline" });
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

export async function ask(path, options) {
  const response = await send(path, options);
  return { data: await response.json(), etag: response.headers.get("ETag") };
}

async function refusal(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // Not ours: a gateway between, or a route that does not exist.
  }
  const known = typeof problem?.code === "string" ? problem : {};
  return new Refusal({
    code: `http_${response.status}`, ...known, status: response.status, etag: response.headers.get("ETag"),
  });
}
