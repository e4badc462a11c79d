// Teams and keys that a profile of their own answers, while others follow the active one; and whom which profile answers.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { useData } from "../data.js";
import { money, percent } from "../format.js";
import { t } from "../i18n.js";
import { mayReadAll, mayWrite, refresh } from "../live.js";
import { Button, Card, Failure, Field, Loaded, Name, Said, say, Table } from "../parts/basics.js";
import { useSubjects } from "../subjects.js";
import { ordered } from "../vocabulary.js";

const USUAL_SHARE = 80;
const ACTIVE = "";
const EMPTY = { kind: "team", name: "", profile: ACTIVE, rule: false, share: USUAL_SHARE, beyond: "", monthly: "" };

const split = (subject) => [subject.split(":", 1)[0], subject.slice(subject.indexOf(":") + 1)];
const path = (subject) => `bindings/${split(subject)[0]}/${encodeURIComponent(split(subject)[1])}`;

export function Bindings({ state, manages, keys }) {
  const found = useData("bindings");
  const subjects = useSubjects(keys, mayReadAll(state));
  const [refused, setRefused] = useState(null);
  const [begun, setBegun] = useState({ turn: 0, draft: null, seen: null }); // the form, and what it begins with, after "change"
  const [warned, setWarned] = useState([]);
  const may = (subject) => mayWrite(state) || manages.some((team) => subject === `team:${team}`);
  const called = (subject) => subjects[split(subject)[0]]?.find(({ id }) => id === split(subject)[1])?.name;

  const seen = found.data && { bindings: found.data.bindings, etag: found.etag };
  const begin = (draft) => setBegun(({ turn }) => ({ turn: turn + 1, draft, seen: draft && seen }));

  // Returns what `act` does, or null where it was refused.
  async function change(act) {
    setRefused(null);
    setWarned([]);
    const done = await act().catch((error) => (setRefused(error), null));
    found.reload();
    refresh();
    return done;
  }

  const end = (subject) => change(async () => {
    const { data } = await ask(path(subject), { method: "DELETE", ifMatch: found.etag });
    setWarned(data.warnings);
    say(t("bind.ended", { subject }));
  });

  // Returns {now}: what is there now, where somebody changed this binding since it was seen; else {data}, or null where it was refused.
  const bind = (subject, body, was) => change(async () => {
    const put = (etag) => ask(path(subject), { method: "PUT", body, ifMatch: etag });
    const done = await put(was.etag).catch(async (error) => {
      if (error.code !== "revision_conflict") throw error;
      const { data: { bindings }, etag } = await ask("bindings");
      return same(subject, was.bindings, bindings) ? put(etag) : { now: { bindings, etag } };
    });
    if (done.now) return done;
    setWarned(done.data.warnings);
    if (begun.draft) begin(null);
    say(t("bind.said", { subject, profile: body.profile ?? t("play.active") }));
    return done;
  });

  return html`<${Card} title=${t("bind.title")} note=${t("bind.note")}>
    ${refused && html`<${Failure} error=${refused} />`}
    ${warned.map((warning) => html`<div class="notice warn" role="status"><${Said} instead=${t("change.warning")}>${warning}<//></div>`)}
    <${Loaded} of=${found} rows=${2}>${({ bindings }) => (bindings.length === 0 ? html`<p class="note">${t(mayReadAll(state) ? "bind.none" : "bind.none_yours")}</p>`
      : html`<${Table} label=${t("bind.title")} head=${[t("bind.subject"), t("word.profile"), t("bind.beyond"), { text: t("bind.change"), right: true }]}>
        ${bindings.map((binding) => html`<tr key=${binding.subject}><th scope="row"><${Name} of=${binding.subject} />${called(binding.subject) && called(binding.subject) !== split(binding.subject)[1] && html` <small><${Name} of=${called(binding.subject)} /></small>`}</th>
          <td>${binding.profile ? html`<${Name} of=${binding.profile} />` : html`<span class="note">${t("play.active")}</span>`}</td><td><${Name} of=${ruleText(binding.beyond)} /></td>
          <td class="right"><div class="both end"><${Button} disabled=${!may(binding.subject)} aria-label=${t("bind.edit_of", { subject: binding.subject })} onClick=${() => begin(drafted(binding))}>${t("mappings.edit")}<//>
            <${Button} disabled=${!may(binding.subject)} aria-label=${t("bind.end_of", { subject: binding.subject })} onClick=${() => end(binding.subject)}>${t("bind.end")}<//></div></td></tr>`)}<//>`)}<//>
    ${(mayWrite(state) || manages.length > 0) && html`<${BindForm} key=${begun.turn} start=${begun.draft} begun=${begun.seen} newest=${seen} profiles=${ordered(state.profiles)} subjects=${subjects} manages=${mayWrite(state) ? [] : manages} onBind=${bind} />`}<//>
    ${mayReadAll(state) && found.data && html`<${Effective} bindings=${found.data.bindings} active=${found.data.active_profile} subjects=${subjects} />`}`;
}

const boundIn = (bindings, subject) => bindings.find((each) => each.subject === subject);
// A plain key is bound by its hash: nobody can tell here which of them that is.
const plain = (subject) => subject.startsWith("key:sk-");
const same = (subject, before, after) => !plain(subject) && JSON.stringify(boundIn(before, subject)) === JSON.stringify(boundIn(after, subject));

const ruleText = (beyond) => (beyond ? t("bind.beyond.text", { share: percent(beyond.share, 2), profile: beyond.profile }) + (beyond.monthly_usd ? ` (${t("bind.monthly", { usd: money(beyond.monthly_usd) })})` : "") : "\u2013");

function drafted({ subject, profile, beyond }) {
  const [kind, name] = split(subject);
  return { ...EMPTY, kind, name, profile: profile ?? ACTIVE, ...(beyond && { rule: true, share: Number((beyond.share * 100).toFixed(6)), beyond: beyond.profile, monthly: beyond.monthly_usd ?? "" }) };
}

// `begun` is what was seen when a binding was opened to be changed; a new one begins with what is there at the first letter.
function BindForm({ start, begun, newest, profiles, subjects, manages, onBind }) {
  const names = profiles.map(({ name }) => name);
  const [form, setForm] = useState(start ?? { ...EMPTY, name: manages[0] ?? "", profile: names[0] ?? "" });
  const [seen, setSeen] = useState(begun);
  const [theirs, setTheirs] = useState(null); // {subject, before, now, mine}, where somebody changed the binding meanwhile
  const others = names.filter((name) => name !== form.profile);
  const then = others.includes(form.beyond) ? form.beyond : others[0];
  const set = (name) => (event) => {
    setForm({ ...form, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
    setSeen(seen ?? newest);
    setTheirs(null);
  };
  const ready = newest && form.name.trim() && (form.rule ? then : form.profile);
  const submit = async (event) => {
    event.preventDefault();
    if (!ready) return;
    const monthly = form.kind === "team" && form.monthly !== "" ? { monthly_usd: Number(form.monthly) } : {};
    const beyond = form.rule ? { beyond: { share: Number(form.share) / 100, profile: then, ...monthly } } : {};
    const subject = `${form.kind}:${form.name.trim()}`;
    const mine = { profile: form.profile || null, ...beyond };
    const was = seen ?? newest;
    const done = await onBind(subject, mine, was);
    if (done === null) return;
    setSeen(done.now ?? null); // to bind once more is a second decision
    setTheirs(done.now ? { subject, before: boundIn(was.bindings, subject), now: boundIn(done.now.bindings, subject), mine } : null);
  };
  const unknown = form.kind === "key" && form.name.trim() && subjects.complete && !subjects.key.some(({ id }) => id === form.name.trim());
  const options = (of) => of.map((name) => html`<option value=${name}>${name}</option>`);
  return html`<form class="filters" onSubmit=${submit}>
    ${manages.length === 0 && html`<${Field} label=${t("bind.kind")}><select value=${form.kind} onChange=${set("kind")}>
      <option value="team">${t("word.team")}</option><option value="key">${t("sign.key")}</option></select><//>`}
    <${Field} label=${t("bind.subject")}>${manages.length
      ? html`<select value=${form.name} onChange=${set("name")}>${manages.map((team) => html`<option value=${team}>${team}</option>`)}</select>`
      : html`<${Pick} list=${`bind-${form.kind}`} options=${subjects[form.kind]} value=${form.name} onInput=${set("name")} />`}<//>
    <${Field} label=${t("word.profile")}><select value=${form.profile} onChange=${set("profile")}>${options(names)}${manages.length === 0 && html`<option value=${ACTIVE}>${t("play.active")}</option>`}</select><//>
    ${manages.length === 0 && html`<label class="check-line"><input type="checkbox" checked=${form.rule} onChange=${set("rule")} /> ${t("bind.rule")}</label>`}
    ${form.rule && html`<${Field} label=${t("bind.share")}><input type="number" min="0.01" max="100" step="any" required value=${form.share} onInput=${set("share")} /><//>
      <${Field} label=${t("bind.then")}><select value=${then} onChange=${set("beyond")}>${options(others)}</select><//>
      ${form.kind === "team" && html`<${Field} label=${t("bind.budget")}><input type="number" min="0.01" step="any" placeholder=${t("bind.budget.none")} value=${form.monthly} onInput=${set("monthly")} /><//>`}`}
    <button class="button main" disabled=${!ready}>${t("bind.bind")}</button>
    ${theirs && html`<${Conflict} ...${theirs} />`}
    ${unknown && html`<p class="warn-text" role="status">${t("bind.unknown")}</p>`}</form>`;
}

function Conflict({ subject, before, now, mine }) {
  const text = (binding) => (binding ? `${binding.profile ?? t("play.active")}${binding.beyond ? `; ${ruleText(binding.beyond)}` : ""}` : t("bind.follows"));
  return html`<div class="notice warn conflict" role="alert"><strong>${t("edit.conflict")}</strong><p>${t("bind.conflict")}</p>
    ${!plain(subject) && html`<dl class="versus"><div><dt>${t("edit.base")}</dt><dd>${text(before)}</dd></div>
      <div><dt>${t("edit.theirs")}</dt><dd>${text(now)}</dd></div><div><dt>${t("edit.mine")}</dt><dd>${text(mine)}</dd></div></dl>`}</div>`;
}

// To pick from what is known, or to type.
function Pick({ list, options, value, onInput }) {
  return html`<input list=${list} value=${value} maxlength="128" autocomplete="off" spellcheck=${false} onInput=${onInput} />
    <datalist id=${list}>${options.map(({ id, name }) => html`<option value=${id}>${name === id ? undefined : name}</option>`)}</datalist>`;
}

// Which profile answers a caller who chooses none: the key's binding goes before its team's, and without one the active profile does.
// Of a key that is known the team is; of one that nobody knows nothing is said.
function Effective({ bindings, active, subjects }) {
  const [who, setWho] = useState({ key: "", team: "" });
  const key = who.key.trim();
  const known = subjects.key.find(({ id }) => id === key);
  const unknown = key && !known && subjects.complete;
  const team = known ? (known.team ?? "") : who.team.trim();
  const asked = [key && `key:${key}`, team && `team:${team}`].filter(Boolean);
  const binding = asked.map((subject) => bindings.find((each) => each.subject === subject)).find(Boolean);
  const pick = (kind) => html`<${Pick} list=${`who-${kind}`} options=${subjects[kind]} value=${who[kind]} onInput=${(event) => setWho({ ...who, [kind]: event.target.value })} />`;
  return html`<${Card} title=${t("bind.effective")} note=${t("bind.effective.note")}>
    <form class="filters" onSubmit=${(event) => event.preventDefault()}>
      <${Field} label=${t("sign.key")}>${pick("key")}<//>
      <${Field} label=${t("word.team")}>${known ? html`<input readonly value=${known.team ?? "\u2013"} />` : pick("team")}<//></form>
    ${unknown ? html`<p role="status" class="effective warn-text">${t("bind.unknown")}</p>`
      : asked.length > 0 && html`<p role="status" class="effective"><strong>${binding?.profile ?? active}</strong> <span class="note">${binding ? t("bind.because", { subject: binding.subject }) : t("bind.follows")}${binding?.beyond && `; ${ruleText(binding.beyond)}`}</span></p>`}<//>`;
}
