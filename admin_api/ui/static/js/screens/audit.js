// Who changed what, when and why; each entry can be returned to, and the chain of hashes is checked in the browser.

import { html, useEffect, useMemo, useRef, useState } from "../dom.js";
import { ask } from "../api.js";
import { checkChain } from "../chain.js";
import { useData } from "../data.js";
import { t, word } from "../i18n.js";
import { mayWrite } from "../live.js";
import { Ago, Badge, Button, Empty, Failure, Field, Loaded, Page } from "../parts/basics.js";
import { ChangeDialog, Changes } from "../parts/change.js";
import { because, Deed, who } from "../parts/deed.js";
import { dateTime } from "../format.js";
import { ordered } from "../vocabulary.js";

const ACTIONS = ["bootstrap", "switch", "rollback", "edit", "reload", "bind", "rollout", "policy", "shadow"];
const PAGE = 25;

export function Audit({ state }) {
  const [filter, setFilter] = useState({ action: "", profile: "", actor: "" });
  const [typed, setTyped] = useState(""); // an actor's name so far: the log is asked for whole ones, and its news keep this
  const actors = useRef(new Map()); // everybody whose rows were seen: the name in the log, and as a row shows it
  const log = useLog({ ...filter, actor: nameOf(filter.actor, actors.current) });
  for (const entry of log.newest.data ?? []) actors.current.set(entry.actor.name, who(entry));
  const [change, setChange] = useState(null);
  const filtered = Object.values(filter).some(Boolean);
  const set = (name) => (event) => setFilter({ ...filter, [name]: event.target.value });
  return html`<${Page} title=${t("nav.audit")} intro=${t("audit.intro")} />
    ${log.newest.error?.status !== 403 && html`<form class="filters" role="search" onSubmit=${(event) => event.preventDefault() || setFilter({ ...filter, actor: typed })}>
      <${Field} label=${t("audit.action")}><select value=${filter.action} onChange=${set("action")}><option value="">${t("audit.all")}</option>
        ${ACTIONS.map((action) => html`<option value=${action}>${word("action", action)}</option>`)}</select><//>
      <${Field} label=${t("word.profile")}><select value=${filter.profile} onChange=${set("profile")}><option value="">${t("audit.all")}</option>
        ${ordered(state.profiles).map(({ name }) => html`<option value=${name}>${name}</option>`)}</select><//>
      <${Field} label=${t("audit.actor")}><input list="actors" value=${typed} maxlength="256" autocomplete="off" spellcheck=${false} onInput=${(event) => setTyped(event.target.value)} onChange=${set("actor")} /><//>
      <datalist id="actors">${[...actors.current].map(([name, shown]) => html`<option value=${name}>${shown === name ? undefined : shown}</option>`)}</datalist>
      <${Chain} entries=${log.newest.data} filtered=${filtered} />
    </form>`}
    <${Loaded} of=${log.newest} rows=${6}>${(entries) => (entries.length === 0 ? html`<${Empty} title=${t("audit.none")} />`
      : html`<ol class="log">${entries.map((entry) => html`<${Entry} key=${entry.revision} entry=${entry}
          current=${entry.revision === state.status.revision} may=${mayWrite(state)} onReturn=${() => setChange({ kind: "rollback", to: entry.revision, profile: entry.profile_after })} />`)}</ol>`)}<//>
    ${log.error && html`<${Failure} error=${log.error} />`}
    ${log.next && html`<p class="more"><${Button} onClick=${log.more}>${t("audit.more")}<//></p>`}
    ${change && html`<${ChangeDialog} change=${change} onClose=${() => setChange(null)} />`}`;
}

// The log is asked for whole names, of which rows show the part that people read: two may have it in common.
function nameOf(typed, actors) {
  const found = [...actors].filter(([, shown]) => shown === typed.trim());
  return found.length === 1 ? found[0][0] : typed.trim();
}

// The newest entries, kept fresh like all data, and the older ones that were asked for.
function useLog(filter) {
  const query = new URLSearchParams({ limit: PAGE, ...Object.fromEntries(Object.entries(filter).filter(([, value]) => value)) }).toString();
  const newest = useData(`audit?${query}`);
  const [older, setOlder] = useState({ query, before: null, entries: [], next: null, error: null });
  const first = newest.data?.next ?? null;
  // They follow the first page as it was: a new entry on it moves the seam, and they are asked for again.
  const kept = older.query === query && older.before === first ? older : { query, before: first, entries: [], next: first, error: null };
  const more = async () => {
    try {
      const { data } = await ask(`audit?${query}&before=${kept.next}`);
      setOlder({ ...kept, entries: [...kept.entries, ...data.entries], next: data.next, error: null });
    } catch (error) {
      setOlder({ ...kept, error });
    }
  };
  const entries = useMemo(() => newest.data && [...newest.data.entries, ...kept.entries], [newest.data, kept.entries.length]);
  return { newest: { ...newest, data: entries }, next: kept.next, error: kept.error, more };
}

function Entry({ entry, current, may, onReturn }) {
  return html`<li class="card entry"><details>
    <summary><span class="rev">${entry.revision}</span>
      <span class="what"><${Deed} entry=${entry} />
        ${current && html` <${Badge} tone="accent">${t("audit.current")}<//>`}
        ${entry.reason && html`<span class="reason">${because(entry)}</span>`}</span>
      <span class="who" title=${entry.actor.name}>${who(entry)}<br /><${Ago} at=${entry.at} /></span></summary>
    <div class="entry-body">
      <p class="note">${entry.actor.name}, ${dateTime(entry.at)}</p>
      <${Changes} changes=${entry.changes} of=${entry.action === "bind" ? "bind.subject" : undefined} />
      <dl class="hashes"><div><dt>${t("audit.hash")}</dt><dd><code>${entry.hash}</code></dd></div>
        <div><dt>${t("audit.previous")}</dt><dd><code>${entry.previous_hash || "\u2013"}</code></dd></div></dl>
      ${may && !current && html`<${Button} onClick=${onReturn}>${t("audit.return", { revision: entry.revision })}<//>`}
    </div></details></li>`;
}

function Chain({ entries, filtered }) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    let current = true;
    setFound(null);
    if (entries?.length) checkChain(entries, { gaps: filtered }).then((result) => current && setFound(result));
    return () => {
      current = false;
    };
  }, [entries, filtered]);
  if (!found || !entries) return html`<span class="chain"></span>`;
  const tone = { whole: "good", broken: "bad", unchecked: "plain" }[found.state];
  return html`<span class="chain" data-chain=${found.state} title=${t("chain.hint")}><${Badge} tone=${tone}>${t(`chain.${found.state}`, { count: entries.length, revision: found.revision })}<//></span>`;
}
