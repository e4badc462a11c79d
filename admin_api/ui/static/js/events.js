// Follows the event stream: server-sent events over fetch (EventSource cannot send a key), reconnecting with back-off.
// One tab of the browser holds it and tells the others: over HTTP/1.1 a browser has six connections to a host, for all its tabs.
// It must not know what an event means.

import { send } from "./api.js";
import { readEvents } from "./sse.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 2_000; // a page that recovers later than the proxy shows what is not so
const SILENCE_MS = 40_000; // the stream says something every 15 s
const NAME = `neuronode-events ${new URL("../", document.baseURI).pathname}`;

// Calls onChange() when something was committed, which is all that tabs tell each other: their keys may see different things.
// Calls onState("live" | "waiting" | "denied"); a tab that leaves the stream to another one is live. Returns what stops it.
export function follow({ onChange, onState }) {
  const others = new BroadcastChannel(NAME);
  others.onmessage = onChange;
  const told = () => (others.postMessage(null), onChange());
  let turn = new AbortController();
  // A tab that nobody sees holds no stream: the page asks anew when it is shown.
  const look = () => {
    turn.abort();
    if (document.hidden) return;
    turn = new AbortController();
    inTurn(turn.signal, () => run(turn.signal, told, onState), () => onState("live"));
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => (document.removeEventListener("visibilitychange", look), turn.abort(), others.close());
}

// Runs `hold` once no other tab does so; calls `wait` where one does. A browser offers locks on https and localhost only, and not
// in every frame: without them each tab that is seen holds a stream.
async function inTurn(signal, hold, wait) {
  let held;
  try {
    ({ held } = await navigator.locks.query());
  } catch {
    return hold();
  }
  if (held.some(({ name }) => name === NAME)) wait();
  await navigator.locks.request(NAME, { signal }, hold).catch((error) => {
    if (error.name !== "AbortError") throw error;
  });
}

async function run(stopped, onEvent, onState) {
  let lastId = null;
  let wait = FIRST_WAIT_MS;
  while (!stopped.aborted) {
    try {
      await readStream(stopped, lastId, {
        opened() {
          wait = FIRST_WAIT_MS;
          onState("live");
        },
        event(id) {
          lastId = id;
          onEvent();
        },
      });
    } catch (error) {
      if (stopped.aborted) return;
      if (error.status === 401 || error.status === 403) return onState("denied");
    }
    if (stopped.aborted) return;
    onState("waiting");
    await pause(wait * (0.75 + Math.random() / 2), stopped);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }
}

async function readStream(stopped, lastId, { opened, event }) {
  const abort = new AbortController();
  const end = () => abort.abort();
  stopped.addEventListener("abort", end);
  let silence = setTimeout(end, SILENCE_MS);
  try {
    const headers = { Accept: "text/event-stream", ...(lastId === null ? {} : { "Last-Event-ID": lastId }) };
    const response = await send("events", { headers, signal: abort.signal });
    opened();
    await readEvents(response, {
      onBytes() {
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE_MS);
      },
      onEvent: (name, id) => name === "revision" && event(id),
    });
  } finally {
    clearTimeout(silence);
    stopped.removeEventListener("abort", end);
    abort.abort();
  }
}

function pause(ms, stopped) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stopped.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
