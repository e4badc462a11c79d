// Loads one resource for a screen and keeps it fresh. It must not know how it is shown.

import { useCallback, useEffect, useRef, useState } from "./dom.js";
import { ask } from "./api.js";
import { useLive } from "./live.js";

const NOTHING = { data: null, error: null, etag: null, at: 0 };

// Returns {data, error, etag, at, reload}. Loads again when the path, the body or the revision changes, and every `every` ms.
// Data of another path is never shown; data of the same path stays while it is loaded anew.
export function useData(path, { body, every = 0 } = {}) {
  const { status } = useLive();
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const id = `${path} ${sent}`;
  const [found, setFound] = useState({ ...NOTHING, id });
  const [turn, setTurn] = useState(0);
  const latest = useRef(id);
  latest.current = id;

  useEffect(() => {
    if (path === null) return undefined;
    const abort = new AbortController();
    const method = sent === undefined ? "GET" : "POST";
    ask(path, { method, body, signal: abort.signal }).then(
      ({ data, etag }) => latest.current === id && setFound({ id, data, etag, error: null, at: Date.now() }),
      (error) =>
        error.name !== "AbortError" && latest.current === id &&
        setFound((old) => ({ ...(old.id === id && error.status === 0 ? old : NOTHING), id, error })),
    );
    return () => abort.abort();
  }, [id, turn, status?.revision]);

  useEffect(() => {
    if (!every) return undefined;
    const timer = setInterval(() => document.hidden || setTurn((n) => n + 1), every);
    return () => clearInterval(timer);
  }, [every]);

  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return { ...(found.id === id ? found : NOTHING), reload };
}
