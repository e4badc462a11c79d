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
  const [draft, setDraft] = useState(null); // what the form begins with, after "change"
  const [warned, setWarned] = useState([]);
  const may = (subject) => mayWrite(state) || manages.some((team) => subject === `team:${team}`);
  const called = (subject) => subjects[split(subject)[0]]?.find(({ id }) => id === split(subject)[1])?.name;

  async function change(subject, options, text) {
    setRefused(null);
    setWarned([]);
    try {
      const { data } = await ask(path(subject), { ...options, ifMatch: found.etag });
      setWarned(data.warnings);
      setDraft(null);
      say(text);
    } catch (error) {
      setRefused(error);
    }
    found.reload();
    refresh();
  }
  const end = (subject) => change(subject, { method: "DELETE" }, t("bind.ended", { subject }));
  const bind = (subject, body) => change(subject, { method: "PUT", body }, t("bind.said", { subject, profile: body.profile ?? t("play.active") }));

  return html`<${Card} title=${t("bind.title")} note=${t("bind.note")}>
    ${refused && html`<${Failure} error=${refused} />`}
    ${warned.map((warning) => html`<div class="notice warn" role="status"><${Said} instead=${t("change.warning")}>${warning}<//></div>`)}
    <${Loaded} of=${found} rows=${2}>${({ bindings }) => (bindings.length === 0 ? html`<p class="note">${t(mayReadAll(state) ? "bind.none" : "bind.none_yours")}</p>`
      : html`<${Table} label=${t("bind.title")} head=${[t("bind.subject"), t("word.profile"), t("bind.beyond"), { text: t("bind.change"), right: true }]}>
        ${bindings.map((binding) => html`<tr key=${binding.subject}><th scope="row"><${Name} of=${binding.subject} />${called(binding.subject) && called(binding.subject) !== split(binding.subject)[1] && html` <small>${called(binding.subject)}</small>`}</th>
          <td>${binding.profile ?? html`<span class="note">${t("play.active")}</span>`}</td><td>${ruleText(binding.beyond)}</td>
          <td class="right"><div class="both end"><${Button} disabled=${!may(binding.subject)} aria-label=${t("bind.edit_of", { subject: binding.subject })} onClick=${() => setDraft(drafted(binding))}>${t("mappings.edit")}<//>
            <${Button} disabled=${!may(binding.subject)} aria-label=${t("bind.end_of", { subject: binding.subject })} onClick=${() => end(binding.subject)}>${t("bind.end")}<//></div></td></tr>`)}<//>`)}<//>
    ${(mayWrite(state) || manages.length > 0) && html`<${BindForm} key=${draft?.name ?? ""} start=${draft} profiles=${ordered(state.profiles)} subjects=${subjects} manages=${mayWrite(state) ? [] : manages} onBind=${bind} />`}<//>
    ${mayReadAll(state) && found.data && html`<${Effective} bindings=${found.data.bindings} active=${found.data.active_profile} subjects=${subjects} />`}`;
}

const ruleText = (beyond) => (beyond ? t("bind.beyond.text", { share: percent(beyond.share, 0), profile: beyond.profile }) + (beyond.monthly_usd ? ` (${t("bind.monthly", { usd: money(beyond.monthly_usd) })})` : "") : "\u2013");

function drafted({ subject, profile, beyond }) {
  const [kind, name] = split(subject);
  return { ...EMPTY, kind, name, profile: profile ?? ACTIVE, ...(beyond && { rule: true, share: Math.round(beyond.share * 100), beyond: beyond.profile, monthly: beyond.monthly_usd ?? "" }) };
}

function BindForm({ start, profiles, subjects, manages, onBind }) {
  const names = profiles.map(({ name }) => name);
  const [form, setForm] = useState(start ?? { ...EMPTY, name: manages[0] ?? "", profile: names[0] ?? "" });
  const others = names.filter((name) => name !== form.profile);
  const then = others.includes(form.beyond) ? form.beyond : others[0];
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
  const ready = form.name.trim() && (form.rule ? then : form.profile);
  const submit = (event) => {
    event.preventDefault();
    if (!ready) return;
    const monthly = form.kind === "team" && form.monthly !== "" ? { monthly_usd: Number(form.monthly) } : {};
    const beyond = form.rule ? { beyond: { share: Number(form.share) / 100, profile: then, ...monthly } } : {};
    onBind(`${form.kind}:${form.name.trim()}`, { profile: form.profile || null, ...beyond });
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
    ${form.rule && html`<${Field} label=${t("bind.share")}><input type="number" min="1" max="100" required value=${form.share} onInput=${set("share")} /><//>
      <${Field} label=${t("bind.then")}><select value=${then} onChange=${set("beyond")}>${options(others)}</select><//>
      ${form.kind === "team" && html`<${Field} label=${t("bind.budget")}><input type="number" min="0.01" step="any" placeholder=${t("bind.budget.none")} value=${form.monthly} onInput=${set("monthly")} /><//>`}`}
    <button class="button main" disabled=${!ready}>${t("bind.bind")}</button>
    ${unknown && html`<p class="warn-text" role="status">${t("bind.unknown")}</p>`}</form>`;
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
