// The dialog of a switch or a rollback: what would change, what it would cost, then the receipt of every worker.
// It must not know which screen opened it.

import { html, useEffect, useRef, useState } from "../dom.js";
import { ask } from "../api.js";
import { useData } from "../data.js";
import { milliseconds, money, number, percent, timesLike } from "../format.js";
import { t, word } from "../i18n.js";
import { refresh, useLive } from "../live.js";
import { Badge, Button, Code, Failure, Field, Loading, Said, say, Table } from "./basics.js";
import { Dialog, focusSeen } from "./dialog.js";
import { ForecastSummary } from "./forecast.js";
import { Objections } from "./undo.js";

const WATCH_MS = 250;
const WARM_MODES = ["wait", "background", "off"];
const FORCED = ["unproven_profile", "warm_failed"]; // refusals that a second word goes past

function order(change, extra) {
  const body = change.kind === "switch" ? { profile: change.profile } : { to: change.to };
  return [change.kind === "switch" ? "profiles/switch" : "rollback", { method: "POST", body: { ...body, ...extra } }];
}

// `change` is {kind, profile} and for a rollback `to`; it may bring `objections` to a switch that was not made at once, and what
// `refused` it, also where that may pass: nothing else says that it was sent. All that is shown is of one revision: where another
// one comes meanwhile, somebody has to look again.
export function ChangeDialog({ change, onClose }) {
  const { status } = useLive();
  const [refused, setRefused] = useState(change.refused ?? null);
  const [objections, setObjections] = useState(change.objections);
  const [reason, setReason] = useState("");
  const [rule, setRule] = useState(null); // what becomes of conversations, once somebody says other than the profile
  const [warm, setWarm] = useState({}); // {warm, pull}: what becomes of local models, once somebody says other than the proxy
  const [phase, setPhase] = useState("review"); // review | sending | done
  const [receipt, setReceipt] = useState(null);
  const [force, setForce] = useState({}); // {force: true} once somebody wants an unproven profile all the same
  const [seen, setSeen] = useState(null); // the revision that what is shown is of
  const confirm = useRef(null);
  const done = useRef(null);
  const [path, { body }] = order(change, { dry_run: true, ...force });
  const preview = useData(phase === "review" ? path : null, { body, name: JSON.stringify(body) });
  const newest = Math.max(status.revision, preview.data?.revision ?? 0);
  const moved = phase === "review" && seen !== null && newest > seen;
  const shown = preview.data?.revision === seen && !moved ? preview.data : null;

  useEffect(() => {
    if (seen === null && preview.data?.revision === newest) setSeen(newest);
  }, [seen, preview.data, newest]);
  useEffect(() => {
    if (shown) focusSeen(confirm.current);
  }, [shown !== null]);
  useEffect(() => {
    if (phase === "done") focusSeen(done.current);
  }, [phase]);

  function review(forced = force) {
    setForce(forced);
    setRefused(null);
    setObjections(null);
    setSeen(null);
    preview.reload();
  }

  async function commit() {
    setPhase("sending");
    setRefused(null);
    const [to, options] = order(change, { reason, ...force, ...warm, ...(rule === "move" && { conversations: rule }) });
    try {
      const { data } = await ask(to, { ...options, ifMatch: preview.etag });
      setReceipt(data);
      setPhase("done");
      say(t(data.complete ? "change.said" : "change.said_partly", { profile: data.profile, revision: data.revision }));
    } catch (error) {
      setRefused(error);
      setPhase("review");
    }
    refresh();
  }

  const target = change.profile;
  // The preview may have heard of a revision before the page has.
  const active = preview.data?.revision === newest ? preview.data.previous_profile : status.active_profile;
  const from = shown?.previous_profile ?? active;
  const title = phase === "done" ? t("change.done", { profile: receipt.profile })
    : change.kind === "switch" ? t("change.switch", { from, to: target }) : t("change.rollback_to", { from, to: target, revision: change.to });
  const error = refused ?? (preview.data ? null : preview.error);
  const again = moved || error?.code === "revision_conflict";
  const ready = shown !== null && phase === "review" && (error === null || error.passing);
  const actions = (leave) => phase === "done"
    ? html`<button ref=${done} type="button" class="button main" onClick=${onClose}>${t("act.done")}</button>`
    : html`<${Button} onClick=${leave}>${t("act.cancel")}<//>
      ${again ? html`<${Button} kind="main" onClick=${() => review()}>${t("change.again")}<//>`
        : FORCED.includes(error?.code) ? html`<${Button} kind="main" onClick=${() => review({ force: true })}>${t("change.force")}<//>`
        : html`<button ref=${confirm} type="submit" class="button main" disabled=${!ready} aria-busy=${phase === "sending" || undefined}>
            ${t(change.kind === "switch" ? "change.confirm" : "change.confirm_rollback", { to: target })}</button>`}`;

  return html`<${Dialog} title=${title} onClose=${onClose} saved=${phase === "done"} changed=${phase === "done"} actions=${actions} onSubmit=${() => ready && !again && commit()}>
    ${moved ? html`<div class="notice warn" role="alert"><strong>${t("change.moved", { revision: newest, profile: active })}</strong><p>${t("change.moved.fix")}</p></div>`
      : error && html`<${Failure} error=${error} again=${error === preview.error} />`}
    ${phase === "done" ? html`<${ReceiptView} receipt=${receipt} />`
      : phase === "sending" ? html`<${Progress} revision=${shown.revision + 1} />`
      : shown ? html`<${Review} preview=${shown} target=${target} objections=${objections} reason=${reason} onReason=${setReason} rule=${rule} onRule=${change.kind === "switch" && setRule} warm=${warm} onWarm=${setWarm} />`
      : !moved && (!error || error.passing) && html`<${Loading} rows=${5} />`}
  <//>`;
}

function Review({ preview, target, objections, reason, onReason, rule, onRule, warm, onWarm }) {
  return html`
    <${Objections} objections=${objections} />
    ${preview.warnings.map((warning) => html`<div class="notice warn"><${Said} instead=${t("change.warning")}>${warning}<//></div>`)}
    <h3>${t("change.forecast")}</h3>
    <${Forecast} profile=${target} />
    <${Proof} profile=${target} />
    <${Field} label=${t("change.reason")} hint=${t("change.reason.hint")}>
      <input maxlength="500" value=${reason} onInput=${(event) => onReason(event.target.value)} />
    <//>
    ${onRule && html`<${Conversations} said=${preview.conversations} rule=${rule} onRule=${onRule} />`}
    <${Running} caches=${preview.caches} />
    <${Models} warm=${preview.warm} />
    ${preview.warm && html`<${Warmth} told=${preview.warm} warm=${warm} onWarm=${onWarm} />`}
    <h3>${t("change.tasks")}</h3>
    <${Changes} changes=${preview.changes} />`;
}

// A profile that moves conversations moves them: there is no keeping them against it.
function Conversations({ said, rule, onRule }) {
  const rules = said === "move" ? ["move"] : ["keep", "move"];
  return html`<${Field} label=${t("change.conversations")} hint=${t("change.conversations.hint")}>
    <select value=${rule ?? said} onChange=${(event) => onRule(event.target.value)}>
      ${rules.map((name) => html`<option value=${name}>${word("conversations", name)}</option>`)}</select><//>`;
}

// What moving the conversations that run now costs at first.
function Running({ caches }) {
  if (!caches?.cached_tokens) return null;
  return html`<p class="note">${t("change.running", { share: percent(caches.share), tokens: number(caches.cached_tokens) })}
    ${caches.usd !== null && ` ${t("change.running.worth", { usd: money(caches.usd) })}`}</p>`;
}

// What becomes of the local models that a switch needs, in the proxy's own words.
function Models({ warm }) {
  if (!warm?.said.length) return null;
  return html`<h3>${t("change.models")}</h3>
    ${warm.said.map((sentence) => html`<p class="note"><${Said} instead=${t("change.models.said")}>${sentence}<//></p>`)}`;
}

// Whether the switch waits for them, and whether what their server lacks is fetched.
function Warmth({ told, warm, onWarm }) {
  return html`<${Field} label=${t("change.warm")} hint=${t("change.warm.hint")}>
      <select value=${warm.warm ?? told.mode} onChange=${(event) => onWarm({ ...warm, warm: event.target.value })}>
        ${WARM_MODES.map((mode) => html`<option value=${mode}>${word("warm", mode)}</option>`)}</select><//>
    ${told.missing.length > 0 && html`<label class="check-line"><input type="checkbox" checked=${warm.pull ?? false} onChange=${(event) => onWarm({ ...warm, pull: event.target.checked })} /> ${t("change.pull", { count: told.missing.length })}</label>`}`;
}

export function Changes({ changes, of = "change.what" }) {
  if (!changes.length) return html`<p class="note">${t("change.none")}</p>`;
  return html`<${Table} label=${t("change.tasks")} head=${[t(of), t("change.before"), t("change.after")]}>
    ${changes.map(({ task, before, after }) => html`<tr key=${task}><th scope="row"><${Code} of=${task} /></th>
      <td><${Code} was of=${before ?? "\u2013"} /></td><td><${Code} of=${after ?? "\u2013"} /></td></tr>`)}<//>`;
}

function Forecast({ profile }) {
  const plan = useData("plan", { body: { profile } });
  if (plan.data === null && (plan.error === null || plan.error.passing)) return html`<div class="bone"></div>`;
  if (plan.data === null) return html`<p class="note">${plan.error.absent ? t("change.forecast.absent") : t("state.failed")}</p>`;
  return html`<${ForecastSummary} plan=${plan.data} />`;
}

// How much of the profile was shown to answer, where the proxy keeps a matrix.
function Proof({ profile }) {
  const matrix = useData(`proof/matrix?${new URLSearchParams({ profile })}`);
  const cells = matrix.data?.cells ?? [];
  if (matrix.data === null && matrix.error && !matrix.error.absent && matrix.error.status !== 403) return html`<h3>${t("change.proof")}</h3><p class="note">${t("objection.unchecked_matrix")}</p>`;
  if (!cells.length) return null;
  const red = cells.filter(({ state }) => state === "red");
  const green = cells.filter(({ state }) => state === "green").length;
  return html`<h3>${t("change.proof")}</h3>
    <p class="badges"><${Badge} tone=${red.length ? "bad" : green === cells.length ? "good" : "plain"}>${t("change.proof.count", { done: green, all: cells.length })}<//>
      ${red.map(({ task, why }) => html` <${Badge} tone="bad"><${Code} of=${task} />: ${word("probe", why)}<//>`)}</p>`;
}

// What the workers serve while the answer to the switch is awaited.
function Progress({ revision }) {
  const workers = useData("workers", { every: WATCH_MS });
  const live = workers.data?.workers.filter((worker) => worker.live) ?? [];
  return html`<p role="status">${t("change.waiting")}</p>
    <ul class="workers-live">${live.map((worker) => html`<li key=${worker.instance}>
      <${Badge} tone=${worker.revision >= revision ? "good" : "plain"}>${worker.revision >= revision ? t("ack.applied") : t("ack.waiting")}<//>
      ${worker.host} \u00b7 ${worker.pid}</li>`)}</ul>`;
}

const TONES = { applied: "good", refused: "bad", waiting: "warn" };

export function ReceiptView({ receipt }) {
  const { status } = useLive();
  const after = timesLike(receipt.workers.map((ack) => ack.after_ms));
  return html`<div class="receipt" data-complete=${receipt.complete}>
    <p class=${receipt.complete ? "good-text strong" : "warn-text strong"}>${t(!receipt.changed ? "receipt.unchanged" : receipt.complete ? "receipt.complete" : "receipt.partly",
      { revision: receipt.revision, ms: milliseconds(receipt.duration_ms) })}</p>
    ${receipt.changed && html`<p>${receipt.conversations === "move" ? t("receipt.moved") : t("receipt.held", { held: number(receipt.held), drained: number(receipt.drained) })}</p>`}
    <${Running} caches=${receipt.caches} />
    <${Models} warm=${receipt.warm} />
    <${Table} label=${t("receipt.workers")} head=${[t("word.worker"), t("word.state"), { text: t("receipt.after"), right: true }]}>
      ${receipt.workers.map((ack) => html`<tr key=${ack.instance}><th scope="row">${ack.host} \u00b7 ${ack.pid}</th>
        <td><${Badge} tone=${TONES[ack.state]}>${word("ack", ack.state)}<//> <${Said}>${ack.detail}<//></td>
        <td class="right">${after(ack.after_ms)}</td></tr>`)}
    <//>
    ${receipt.warnings.map((warning) => html`<div class="notice warn"><${Said} instead=${t("change.warning")}>${warning}<//></div>`)}
    ${status.revision > receipt.revision && html`<p class="notice warn" role="status">${t("receipt.overtaken", { revision: status.revision, profile: status.active_profile })}</p>`}
  </div>`;
}
