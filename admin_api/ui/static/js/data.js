// Loads one resource for a screen and keeps it fresh. It must not know how it is shown.
// One rule for all: what was found stays, with the time it is of, while the proxy does not answer, or no longer takes the key; it is
// asked again by itself.

import { useCallback, useEffect, useRef, useState } from "./dom.js";
import { ask } from "./api.js";
import { useLive } from "./live.js";
import { now } from "./time.js";

export const RETRY_MS = 1_500;
const NOTHING = { data: null, error: null, etag: null, at: 0 };

// Returns {data, error, etag, at, reload}. Loads again when the path, the body or the revision changes, every `every` ms,
// and soon after a failure that may pass. Data of another `name` (by default of another path) is never shown.
export function useData(path, { body, method = body === undefined ? "GET" : "POST", ifMatch, every = 0, name } = {}) {
  const { status, ended } = useLive();
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const id = name ?? `${path} ${sent}`;
  const [found, setFound] = useState({ ...NOTHING, id });
  const [turn, setTurn] = useState(0);
  const latest = useRef(id);
  latest.current = id;
  const asking = useRef(null);

  useEffect(() => {
    if (path === null || ended) return undefined;
    const abort = new AbortController();
    asking.current = abort;
    ask(path, { reads: true, method, body, ifMatch, signal: abort.signal }).then(
      ({ data, etag }) => latest.current === id && setFound({ id, data, etag, error: null, at: now() }),
      (error) =>
        error.name !== "AbortError" && latest.current === id &&
        setFound((old) => ({ ...(old.id === id && (error.passing || error.status === 401) ? old : NOTHING), id, error })),
    ).finally(() => {
      if (asking.current === abort) asking.current = null;
    });
    return () => abort.abort();
  }, [id, path, sent, turn, status?.revision, ended]);

  const wait = found.error && (found.error.passing || found.data !== null) ? RETRY_MS : every;
  useEffect(() => {
    if (!wait) return undefined;
    // An answer that takes longer than `wait` is awaited: asking anew would give it up, again and again.
    const timer = setInterval(() => document.hidden || asking.current || setTurn((n) => n + 1), wait);
    return () => clearInterval(timer);
  }, [wait]);

  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return { ...(found.id === id ? found : NOTHING), reload };
}
