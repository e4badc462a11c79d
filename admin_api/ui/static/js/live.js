// What is in force, kept up to date for every screen: status, profiles, who the caller is, the state of the stream.
// It must not know how anything is shown.

import { ask } from "./api.js";
import { follow } from "./events.js";
import { forgetKey, keepKey, storedKey } from "./session.js";
import { createStore, useStore } from "./store.js";

const POLL_MS = 2_000; // the stream tells of changes, but not of a broken file or a worker that is gone

const signedOut = {
  signedIn: false,
  you: null,
  status: null,
  profiles: null,
  etag: null,
  connection: "waiting", // live | waiting | polling
  failure: null, // the Refusal of the last refresh
  at: 0, // when the last refresh succeeded: what is shown is of then
  entered: false, // somebody has just signed in here
  notice: null, // why somebody has to sign in again
};

// A tab that has a key shows what it waits for, not the sign-in.
export const live = createStore({ ...signedOut, signedIn: storedKey() !== null });
export const useLive = () => useStore(live);

let stop = () => {};

export async function signIn(key) {
  keepKey(key);
  try {
    await ask("access");
  } catch (error) {
    if (error.status === 401 || error.status === 403 || error.code === "admin_closed") {
      forgetKey();
      throw error;
    }
  }
  resume({ entered: true });
}

export async function signInWithClaim(claim) {
  const { data } = await ask("ui/session", { method: "POST", body: { claim } });
  keepKey(data.key);
  resume({ entered: true });
}

export function signOut(notice = null) {
  stop();
  forgetKey();
  live.set({ ...signedOut, notice });
}

export function resume({ entered = false } = {}) {
  if (!storedKey()) return;
  stop();
  live.set({ ...signedOut, signedIn: true, entered });
  // A page that nobody sees asks for nothing.
  const look = () => document.hidden || refresh();
  const poll = setInterval(look, POLL_MS);
  document.addEventListener("visibilitychange", look);
  const unfollow = follow({
    onChange: look,
    onState(state) {
      live.set({ connection: state === "denied" ? "polling" : state });
      refresh();
    },
  });
  stop = () => (clearInterval(poll), document.removeEventListener("visibilitychange", look), unfollow());
  refresh();
}

let running = null;
let again = false;

// One refresh at a time; what is asked for meanwhile is done once more afterwards.
export function refresh() {
  if (running) {
    again = true;
    return running;
  }
  running = load().finally(() => {
    running = null;
    if (again) {
      again = false;
      refresh();
    }
  });
  return running;
}

async function load() {
  const key = storedKey();
  if (!key) return;
  try {
    const [status, list, access] = await Promise.all([
      ask("profiles/status"),
      ask("profiles/list").catch((error) => (error.absent ? { data: null, etag: null } : Promise.reject(error))),
      live.get().you ? null : ask("access").catch(() => null),
    ]);
    if (key !== storedKey()) return;
    const changes = { status: status.data, profiles: list.data?.profiles ?? [], etag: list.etag, failure: null, at: Date.now() };
    if (access) changes.you = access.data.you;
    live.set(changes);
  } catch (error) {
    if (key !== storedKey()) return;
    if (error.status === 401) signOut("expired");
    else live.set({ failure: error });
  }
}

export const mayWrite = (state) => state.you === null || state.you.role === "admin";
export const mayReadAll = (state) => state.status === null || state.status.workers !== null;

// Whether what is shown can be trusted to be so now.
export const fresh = (state) => state.failure === null && state.connection !== "waiting";

