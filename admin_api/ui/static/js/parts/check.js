// What the proxy says of something while it is typed, and before it is saved. It must not know what it is.

import { html, useEffect, useState } from "../dom.js";
import { useData } from "../data.js";
import { t } from "../i18n.js";
import { Problems, Said } from "./basics.js";

const SETTLE_MS = 400;
const NOTHING = { state: "same", problems: [], error: null };

// Returns {state: "same" | "checking" | "good" | "bad", problems, error}. Nothing is sent before the typing rests, nor where `body`
// is null.
export function useCheck(path, body) {
  const sent = body === null ? null : JSON.stringify(body);
  const rested = useRested(sent);
  const found = useData(rested === null ? null : path, { method: "PUT", body: rested === null ? undefined : JSON.parse(rested), ifMatch: "*" });
  if (sent === null) return NOTHING;
  const { data, error } = found;
  if (rested !== sent || (data === null && (error === null || error.passing))) return { ...NOTHING, state: "checking", error: rested === sent ? error : null };
  if (error === null || error.passing) return { ...NOTHING, state: "good" };
  return { state: "bad", problems: error.problems, error: error.problems.length ? null : error };
}

function useRested(value) {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return rested;
}

export function Checked({ id, check: { state, problems, error }, same }) {
  return html`<div id=${id} class=${`check ${state}`} role="status">${state === "same" ? same : t(`check.${state}`)}
    ${error && html` ${error.status === 0 ? t("state.offline") : html`<${Said}>${error.detail}<//>`}`}<${Problems} problems=${problems} /></div>`;
}
