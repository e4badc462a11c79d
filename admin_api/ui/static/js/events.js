// Follows the event stream: server-sent events over fetch (EventSource cannot send a key), reconnecting with back-off.
// It must not know what an event means.

import { send } from "./api.js";
import { readEvents } from "./sse.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 2_000; // a page that recovers later than the proxy shows what is not so
const SILENCE_MS = 40_000; // the stream says something every 15 s

// Calls onEvent(id, data) for each event and onState("live" | "waiting" | "denied"). Returns what stops it.
export function follow({ onEvent, onState }) {
  const stop = new AbortController();
  run(stop.signal, onEvent, onState);
  return () => stop.abort();
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
        event(id, data) {
          lastId = id;
          onEvent(id, data);
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
      onEvent: (name, id, data) => name === "revision" && event(id, data),
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
