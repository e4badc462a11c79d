// The run of probes that this tab has begun: one, whichever screen is shown, until it ends, is stopped, or somebody else begins
// here. It must not know how it is shown.

import { Refusal, send } from "./api.js";
import { live } from "./live.js";
import { readEvents } from "./sse.js";
import { createStore, useStore } from "./store.js";

const HEARD_MS = 250; // what comes in quick succession is shown together: each may change every cell

// `found` is what the run has heard so far, by "group shape"; `done` is null before the first run, `wanted` before the first answer.
const NOTHING = { busy: false, done: null, wanted: null, cost: 0, found: {}, error: null };

const probes = createStore({ ...NOTHING, session: null });
let abort = null;

// The run is that of whoever is signed in.
export function useProbes() {
  const run = useStore(probes);
  return run.session === live.get().session ? run : NOTHING;
}

export const stopProbes = () => abort?.abort();

// Asks for the run, follows it, and returns when it has ended. Never raises: `error` says what refused it.
export async function startProbes(wake) {
  if (abort !== null) return;
  const { session } = live.get();
  const { signal } = (abort = new AbortController());
  const unwatch = live.listen((state) => (state.signedIn && state.session === session) || stopProbes());
  const heard = gathered();
  let error = null;
  probes.set({ ...NOTHING, session, busy: true, done: 0 });
  try {
    const headers = { Accept: "text/event-stream" };
    const response = await send(`proof/validate?live=true${wake ? "&wake=true" : ""}`, { method: "POST", headers, signal });
    await readEvents(response, {
      onEvent(name, id, data) {
        if (name === "found") heard.add(data);
        if (name === "problem") error = new Refusal(data);
      },
    });
  } catch (failed) {
    // A stream that breaks off is no refusal of ours.
    error = failed.name === "AbortError" ? null : failed instanceof Refusal ? failed : new Refusal({ status: 0, code: "offline" });
  }
  unwatch();
  heard.tell();
  abort = null;
  probes.set({ busy: false, error, found: {} });
}

// Keeps what comes, and tells it once in a while.
function gathered() {
  let waiting = [];
  let timer = null;
  function tell() {
    clearTimeout(timer);
    timer = null;
    if (!waiting.length) return;
    const { cost, found } = probes.get();
    const { done, wanted } = waiting.at(-1);
    const told = Object.fromEntries(waiting.map((each) => [`${each.group} ${each.shape}`, each]));
    probes.set({ done, wanted, cost: waiting.reduce((sum, each) => sum + (each.cost_usd ?? 0), cost), found: { ...found, ...told } });
    waiting = [];
  }
  function add(evidence) {
    waiting.push(evidence);
    timer ??= setTimeout(tell, HEARD_MS);
  }
  return { add, tell };
}
