// The dialog that maps one task to another group: checked while it is typed, and safe against a change in between.

import { html, useEffect, useRef, useState } from "../dom.js";
import { ask } from "../api.js";
import { t } from "../i18n.js";
import { refresh, useLive } from "../live.js";
import { Button, Failure, Field, say } from "../parts/basics.js";
import { ReceiptView } from "../parts/change.js";
import { Checked, useCheck } from "../parts/check.js";
import { closing, Dialog } from "../parts/dialog.js";

const path = (edit, query) =>
  `profiles/${encodeURIComponent(edit.profile)}/tasks/${encodeURIComponent(edit.task)}?${new URLSearchParams(query)}`;

// What is typed is saved, or tried by a share of the conversations first where the profile is the active one.
export function EditDialog({ edit, groups, onClose }) {
  const { status } = useLive();
  const active = edit.profile === status.active_profile;
  const [group, setGroup] = useState(edit.group);
  const [reason, setReason] = useState("");
  const [etag, setEtag] = useState(edit.etag);
  const [refused, setRefused] = useState(null);
  const [theirs, setTheirs] = useState(null);
  const [receipt, setReceipt] = useState(null);
  const [busy, setBusy] = useState(false);
  const input = useRef(null);
  const trying = useRef(false); // what was pressed last: who overrules a change in between wants that
  useEffect(() => input.current?.select(), []);

  const wanted = group.trim();
  const check = useCheck(path(edit, { dry_run: true }), wanted === edit.group || !wanted ? null : { group: wanted });

  const sent = (basis) => ask(path(edit, reason ? { reason } : {}), { method: "PUT", body: { group: wanted }, ifMatch: basis });
  const tried = (basis) => ask("rollouts", { method: "POST", body: { edit: { tasks: { [edit.task]: wanted } }, reason }, ifMatch: basis });

  async function save(basis, tries = trying.current) {
    trying.current = tries;
    setBusy(true);
    setRefused(null);
    try {
      const { data } = await (tries ? tried : sent)(basis);
      setTheirs(null);
      setReceipt(data);
      say(t(tries ? "edit.tried" : "edit.said", { task: edit.task, group: wanted }));
    } catch (error) {
      if (error.code === "revision_conflict") await showTheirs(error.etag);
      else setRefused(error);
    }
    setBusy(false);
    refresh();
  }

  async function showTheirs(now) {
    setEtag(now);
    try {
      const [{ data: profile }, audit] = await Promise.all([
        ask(`profiles/${encodeURIComponent(edit.profile)}`), ask("audit?limit=1").catch(() => null),
      ]);
      setTheirs({ group: profile.tasks[edit.task] ?? null, entry: audit?.data.entries[0] ?? null });
    } catch (error) {
      setRefused(error);
    }
  }

  const title = t("edit.title", { profile: edit.profile, task: edit.task });
  if (receipt) {
    return html`<${Dialog} title=${title} onClose=${onClose} saved actions=${closing("act.done")}>
      <${ReceiptView} receipt=${receipt} /><//>`;
  }
  const actions = (leave) => theirs
    ? html`<${Button} onClick=${onClose}>${t("edit.keep_theirs")}<//>
        <${Button} kind="main" type="submit" busy=${busy}>${t("edit.use_mine")}<//>`
    : html`<${Button} onClick=${leave}>${t("act.cancel")}<//>
        ${active && html`<${Button} busy=${busy} disabled=${check.state !== "good"} onClick=${() => save(etag, true)}>${t("edit.try")}<//>`}
        <${Button} kind="main" type="submit" busy=${busy} disabled=${check.state !== "good"}>${t("act.save")}<//>`;
  return html`<${Dialog} title=${title} onClose=${onClose} actions=${actions} onSubmit=${() => !busy && (theirs ? save(etag) : check.state === "good" && save(etag, false))}>
    ${refused && html`<${Failure} error=${refused} />`}
    ${theirs ? html`<${Conflict} mine=${wanted} base=${edit.group} theirs=${theirs} />` : html`
      <${Field} label=${t("word.group")} hint=${t("edit.hint")}>
        <input ref=${input} list="groups" value=${group} autocomplete="off" spellcheck=${false} aria-describedby="check" aria-invalid=${check.state === "bad" || undefined} onInput=${(event) => setGroup(event.target.value)} />
      <//>
      <datalist id="groups">${groups.map((each) => html`<option value=${each}></option>`)}</datalist>
      <${Checked} id="check" check=${check} same=${t("check.same")} />
      <${Field} label=${t("change.reason")} hint=${t("change.reason.hint")}>
        <input maxlength="500" value=${reason} onInput=${(event) => setReason(event.target.value)} />
      <//>`}
  <//>`;
}

function Conflict({ mine, base, theirs }) {
  const entry = theirs.entry;
  return html`<div class="notice warn" role="alert"><strong>${t("edit.conflict")}</strong>
      ${entry && html`<p>${t("edit.conflict.by", { revision: entry.revision, actor: entry.actor.name })}${entry.reason && ` \u201c${entry.reason}\u201d`}</p>`}</div>
    <dl class="versus">
      <div><dt>${t("edit.base")}</dt><dd><code>${base}</code></dd></div>
      <div><dt>${t("edit.theirs")}</dt><dd><code>${theirs.group ?? "\u2013"}</code></dd></div>
      <div><dt>${t("edit.mine")}</dt><dd><code>${mine}</code></dd></div>
    </dl>`;
}
