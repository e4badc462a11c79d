// The dialog that edits a profile as a whole: its text with numbered lines, checked by the proxy while it is typed, what differs,
// and what may stand where. Nothing is in force before it is saved.

import { html, useRef, useState } from "../dom.js";
import { ask } from "../api.js";
import { useData } from "../data.js";
import { language, t } from "../i18n.js";
import { differences, lineOf, readJson, stringAt } from "../json_text.js";
import { refresh } from "../live.js";
import { Button, Code, Failure, Field, Loaded, say, Table } from "../parts/basics.js";
import { ReceiptView } from "../parts/change.js";
import { Checked, useCheck } from "../parts/check.js";
import { closing, Dialog } from "../parts/dialog.js";

const OFFERED = 6;

const path = (name, query) => `profiles/${encodeURIComponent(name)}?${new URLSearchParams(query)}`;
const written = (document) => JSON.stringify(document, null, 2);

function without({ name, ...document }) {
  return document;
}

// The profile that is none yet: what each key may be is in the schema, what must not be missing is said at once.
const bare = ({ tasks, tiers, ...others }) => ({
  ...others, description: "", allowed_teams: [], tasks: Object.fromEntries(Object.keys(tasks).map((task) => [task, ""])),
  tiers: Object.fromEntries(Object.keys(tiers).map((tier) => [tier, []])),
});

// With `taken`, the names that there are, it is a new one that begins as a copy of `profile`, or as a bare one.
export function WholeDialog({ profile, etag, groups, taken, onClose }) {
  const [name, setName] = useState(taken ? "" : profile.name);
  const [start, setStart] = useState("copy");
  const [base, setBase] = useState({ document: without(profile), etag });
  const [text, setText] = useState(written(without(profile)));
  const [reason, setReason] = useState("");
  const [conflict, setConflict] = useState(false);
  const [refused, setRefused] = useState(null);
  const [receipt, setReceipt] = useState(null);
  const [busy, setBusy] = useState(false);
  const read = reading(text);
  const wanted = name.trim();
  const ready = taken ? wanted && !taken.includes(wanted) : true;
  const differs = read.value ? differences(base.document, read.value) : [];
  const check = located(`${wanted}.yaml`, read, useCheck(path(wanted, { dry_run: true }), ready && (taken || differs.length > 0) ? read.value : null));
  const begin = (how) => {
    setStart(how);
    setText(written(how === "copy" ? base.document : bare(base.document)));
  };
  const untouched = text === written(start === "copy" ? base.document : bare(base.document));

  async function save() {
    if (busy || check.state !== "good") return;
    setBusy(true);
    setRefused(null);
    try {
      const { data } = await ask(path(wanted, reason ? { reason } : {}), { method: "PUT", body: read.value, ifMatch: base.etag });
      setReceipt(data);
      say(t("whole.said", { profile: wanted }));
    } catch (error) {
      if (error.code === "revision_conflict") await rebase();
      else setRefused(error);
    }
    setBusy(false);
    refresh();
  }

  // Somebody committed in between: the differences are shown against what is there now, and saving is a second decision.
  async function rebase() {
    try {
      const { data, etag: now } = await ask(`profiles/${encodeURIComponent(profile.name)}`);
      setBase({ document: without(data), etag: now });
      setConflict(true);
    } catch (error) {
      setRefused(error);
    }
  }

  const title = taken ? t("whole.new") : t("whole.title", { profile: profile.name });
  if (receipt) {
    return html`<${Dialog} title=${title} onClose=${onClose} saved actions=${closing("act.done")}><${ReceiptView} receipt=${receipt} /><//>`;
  }
  const actions = (leave) => html`<${Button} onClick=${leave}>${t("act.cancel")}<//><${Button} kind="main" type="submit" busy=${busy} disabled=${check.state !== "good"}>${t("act.save")}<//>`;
  return html`<${Dialog} wide title=${title} onClose=${onClose} onSubmit=${save} actions=${actions}>
    ${refused && html`<${Failure} error=${refused} />`}
    ${conflict && html`<div class="notice warn" role="alert"><strong>${t("edit.conflict")}</strong><p>${t("whole.conflict")}</p></div>`}
    ${taken && html`<div class="filters"><${Field} label=${t("access.name")}><input required maxlength="64" autocomplete="off" spellcheck=${false} value=${name} onInput=${(event) => setName(event.target.value)} /><//>
      <${Field} label=${t("whole.begin")}><select value=${start} disabled=${!untouched} onChange=${(event) => begin(event.target.value)}>
        <option value="copy">${t("whole.copy", { profile: profile.name })}</option><option value="bare">${t("whole.bare")}</option></select><//></div>
      ${taken.includes(wanted) && html`<p class="warn-text" role="status">${t("whole.taken")}</p>`}`}
    <${Editor} text=${text} onText=${setText} groups=${groups} wrong=${new Set(check.problems.map(({ line }) => line))} bad=${check.state === "bad"} />
    <${Checked} id="whole-check" check=${{ ...check, problems: check.problems.map(atLine) }} same=${t(taken ? "whole.unnamed" : "check.unchanged")} />
    ${differs.length > 0 && html`<${Differences} differs=${differs} />`}
    <${Field} label=${t("change.reason")} hint=${t("change.reason.hint")}><input maxlength="500" value=${reason} onInput=${(event) => setReason(event.target.value)} /><//>
    <${Keys} /><//>`;
}

// Returns {value, lines}, or {value: null, code, line} of why it cannot be a profile.
function reading(text) {
  try {
    const read = readJson(text);
    const isMap = read.value !== null && typeof read.value === "object" && !Array.isArray(read.value);
    return isMap ? read : { value: null, code: "wrong_type", line: lineOf(read.lines, "") };
  } catch (mistake) {
    return { value: null, code: mistake.message, line: mistake.line };
  }
}

// Nothing is sent before it can be a profile. Each problem of this profile stands at its line, one of another profile in its file.
function located(file, { value, code, line, lines }, check) {
  if (value === null) return { state: "bad", error: null, problems: [{ code, path: "", message: "", fix: "", line }] };
  const here = (problem) => !problem.file || problem.file === file;
  return { ...check, problems: check.problems.map((problem) => ({ ...problem, line: here(problem) && lineOf(lines, problem.path) })) };
}

const atLine = ({ line, ...problem }) => (line ? { ...problem, file: t("whole.line", { line }) } : problem);

function Editor({ text, onText, groups, wrong, bad }) {
  const numbers = useRef(null);
  const area = useRef(null);
  const [caret, setCaret] = useState(null);
  const look = (event) => setCaret(event.target.selectionStart);
  const here = caret === null ? null : stringAt(text, caret);
  const offered = here ? groups.filter((group) => group !== here.value && group.includes(here.value)).slice(0, OFFERED) : [];
  const take = (group) => {
    onText(text.slice(0, here.from) + group + text.slice(here.to));
    setCaret(null);
    area.current.focus();
  };
  const count = text.split("\n").length;
  return html`<div class="editor"><ol ref=${numbers} aria-hidden="true">${Array.from({ length: count }, (_, place) => html`<li key=${place} class=${wrong.has(place + 1) ? "wrong" : undefined}>${place + 1}</li>`)}</ol>
    <textarea ref=${area} aria-label=${t("whole.text")} aria-describedby="whole-check" aria-invalid=${bad || undefined} rows="18" wrap="off" spellcheck=${false} autocomplete="off" value=${text}
      onClick=${look} onKeyUp=${look} onInput=${(event) => (look(event), onText(event.target.value))} onScroll=${(event) => (numbers.current.style.transform = `translateY(${-event.target.scrollTop}px)`)}></textarea></div>
    ${offered.length > 0 && html`<p class="badges" aria-label=${t("whole.groups")}>${offered.map((group) => html`<button type="button" class="offer" key=${group} onClick=${() => take(group)}><${Code} of=${group} /></button>`)}</p>`}`;
}

const shown = (value) => (value === undefined ? "\u2013" : typeof value === "string" ? value : JSON.stringify(value));

function Differences({ differs }) {
  return html`<${Table} label=${t("whole.differs")} head=${[t("whole.key"), t("change.before"), t("change.after")]}>
    ${differs.map(({ path: key, before, after }) => html`<tr key=${key}><th scope="row"><${Code} of=${key} /></th><td><${Code} was of=${shown(before)} /></td><td><${Code} of=${shown(after)} /></td></tr>`)}<//>`;
}

// What may stand there: from the schema by which the proxy checks.
function Keys() {
  const [open, setOpen] = useState(false);
  return html`<details class="original" onToggle=${(event) => setOpen(event.target.open)}><summary>${t("whole.keys")}</summary>${open && html`<${Schema} />`}</details>`;
}

function Schema() {
  const found = useData("schema");
  return html`<${Loaded} of=${found} rows=${4}>${(schema) => html`<${Table} label=${t("whole.keys")} head=${[t("whole.key"), t("whole.values"), t("whole.meaning")]}>
    ${Object.entries(schema.properties).map(([name, rule]) => html`<tr key=${name}><th scope="row"><${Code} of=${name} /></th><td>${values(rule, schema.$defs)}</td>
      <td lang=${language() === "en" ? undefined : "en"}>${rule.description}</td></tr>`)}<//>`}<//>`;
}

function values(rule, known) {
  const meant = rule.$ref ? known[rule.$ref.split("/").at(-1)] : rule;
  if (meant.enum) return meant.enum.join(", ");
  if (meant.properties) return Object.keys(meant.properties).join(", ");
  return [meant.type].flat().join(", ");
}
