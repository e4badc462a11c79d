// Asks the admin API: one function, which adds the key and turns every failure into a Refusal.
// It must not know screens.

import { storedKey } from "./session.js";
import { hearTime } from "./time.js";

// The page stands at <prefix>/ui/, so this is <prefix>/ whatever the prefix and root path are.
const ROOT = new URL("../", document.baseURI);
const READ_MS = 10_000; // a read that hangs must not keep a screen from asking again
const WORK_MS = 30_000; // one that has the proxy work out something, as a forecast
const SENDABLE = /^[\x20-\x7e]*$/; // fetch throws at a header of anything else, as if nobody answered

export class Refusal extends Error {
  constructor({ status, code, title = "", detail = "", fix = "", problems = [], etag = null }) {
    super(detail || title || code);
    Object.assign(this, { status, code, title, detail, fix, problems, etag });
  }

  // The proxy has no such route, or not yet what it needs: the screen says so instead of failing.
  get absent() {
    return this.status === 404 || this.status === 405 || this.code === "not_ready";
  }

  // The same request may succeed a little later.
  get passing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

// With `key`, instead of the one of this tab; null is none.
export async function send(path, { method = "GET", body, ifMatch, headers = {}, signal, key = storedKey() } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (key && !SENDABLE.test(key)) throw new Refusal({ status: 401, code: "key_unsendable" });
  if (key) sent.Authorization = `Bearer ${key}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  if (ifMatch) sent["If-Match"] = ifMatch;
  const asked = Date.now();
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
  hearTime(response, asked);
  if (!response.ok) throw await refusal(response);
  return response;
}

// What `reads`, as all that is asked with GET, is given up in time: after `ms`.
export async function ask(path, { reads = false, ms, ...options } = {}) {
  ms ??= (options.method ?? "GET") === "GET" ? READ_MS : reads ? WORK_MS : null;
  const limited = ms ? { ...options, signal: within(ms, options.signal) } : options;
  const response = await send(path, limited);
  return { data: await response.json().catch(() => lost(options.signal)), etag: response.headers.get("ETag") };
}

// Returns a file. It is given up in time, too.
export async function askFile(path, type) {
  const response = await send(path, { headers: { Accept: type }, signal: within(WORK_MS) });
  return response.blob().catch(() => lost());
}

// The answer broke off, or whoever asked has gone.
function lost(signal) {
  signal?.throwIfAborted();
  throw new Refusal({ status: 0, code: "offline" });
}

// A signal that ends with `signal`, and after so many milliseconds by itself.
function within(ms, signal) {
  const end = AbortSignal.timeout(ms);
  return signal ? AbortSignal.any([signal, end]) : end;
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
