// What is in force, kept up to date for every screen: status, profiles, who the caller is, the state of the stream.
// It must not know how anything is shown.

import { ask } from "./api.js";
import { follow } from "./events.js";
import { forgetKey, keepKey, storedKey } from "./session.js";
import { createStore, useStore } from "./store.js";
import { now } from "./time.js";

const POLL_MS = 2_000; // the stream tells of changes, but not of a broken file or a worker that is gone
const RIGHTS_MS = 60_000; // what a key may do changes without a revision, too

const signedOut = {
  signedIn: false,
  ended: false, // the key is no longer accepted: what is shown stays, under the sign-in, for whom it belongs to
  you: null, // whose key it is, and what it may; null while nobody has said so
  youAt: 0, // when that was last asked
  status: null,
  profiles: null,
  etag: null,
  connection: "waiting", // live | waiting | polling
  failure: null, // the Refusal of the last refresh
  at: 0, // when the last refresh succeeded: what is shown is of then
  entered: false, // somebody has just signed in here
  notice: null, // why somebody has to sign in again
  session: 0, // another number for everybody who begins here
};

// A tab that has a key shows what it waits for, not the sign-in.
export const live = createStore({ ...signedOut, signedIn: storedKey() !== null });
export const useLive = () => useStore(live);

let stop = () => {};
let sessions = 0;

const ownerOf = async (key) => (await ask("access", { key })).data.you;
const same = (one, other) => ["name", "team", "role"].every((part) => one?.[part] === other?.[part]);

export async function signIn(key) {
  let you = null;
  try {
    you = await ownerOf(key);
  } catch (error) {
    const refused = error.status === 401 || error.status === 403 || error.code === "admin_closed";
    // What waits for its owner is not opened, nor thrown away, before it is known who comes.
    if (refused || live.get().ended) throw error;
  }
  enter(key, you);
}

// A claim that is refused leaves all as it is.
export async function signInWithClaim(claim) {
  const { data } = await ask("ui/session", { method: "POST", body: { claim }, key: null });
  enter(data.key, await ownerOf(data.key).catch(() => null));
}

// Whoever is here already goes on, with another key; anybody else begins anew.
function enter(key, you) {
  keepKey(key);
  if (you === null || !same(you, live.get().you)) return resume({ entered: true, you });
  live.set({ ended: false, notice: null, you, youAt: Date.now() });
  begin();
}

export function signOut() {
  stop();
  forgetKey();
  live.set(signedOut);
}

// The key is no longer accepted. Where there is something to lose, it stays.
function end() {
  const kept = live.get().status === null ? signedOut : { ended: true, connection: "waiting" };
  stop();
  forgetKey();
  live.set({ ...kept, notice: "expired" });
}

export function resume({ entered = false, you = null } = {}) {
  if (!storedKey()) return;
  live.set({ ...signedOut, signedIn: true, entered, you, youAt: you ? Date.now() : 0, session: (sessions += 1) });
  begin();
}

function begin() {
  stop();
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
  const { status: before, you, youAt } = live.get();
  try {
    const [status, list, rights] = await Promise.all([
      ask("profiles/status"),
      ask("profiles/list").catch((error) => (error.absent ? { data: null, etag: null } : Promise.reject(error))),
      you === null || Date.now() - youAt >= RIGHTS_MS ? rightsOf(key) : null,
    ]);
    if (key !== storedKey()) return;
    live.set({ status: status.data, profiles: unlessSame(live.get().profiles, list.data?.profiles ?? []), etag: list.etag, failure: null, at: now(), ...rights });
    if (rights !== null || before === null || status.data.revision === before.revision) return;
    const newer = await rightsOf(key);
    if (key === storedKey()) live.set(newer);
  } catch (error) {
    if (key !== storedKey()) return;
    if (error.status === 401) end();
    else live.set({ failure: error });
  }
}

// What says the same is the same: who shows it need not look at it again.
const unlessSame = (before, after) => (JSON.stringify(before) === JSON.stringify(after) ? before : after);

// What was known stays where it cannot be had anew: it is asked for again with the next refresh.
const rightsOf = (key) => ownerOf(key).then((you) => ({ you, youAt: Date.now() }), () => ({}));

// Nobody, before it is known who it is.
export const mayWrite = (state) => state.you?.role === "admin";
export const mayReadAll = (state) => state.status === null || state.status.workers !== null;

// Whether what is shown can be trusted to be so now.
export const fresh = (state) => state.failure === null && state.connection !== "waiting";

