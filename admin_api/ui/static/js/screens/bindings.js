// Teams and keys that a profile of their own answers, while others follow the active one.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { useData } from "../data.js";
import { percent } from "../format.js";
import { t } from "../i18n.js";
import { mayReadAll, mayWrite, refresh } from "../live.js";
import { Button, Card, Failure, Field, Loaded, Name, say, Table } from "../parts/basics.js";
import { ordered } from "../vocabulary.js";

// "team:research" is changed at bindings/team/research.
const path = (subject) => `bindings/${subject.split(":", 1)[0]}/${encodeURIComponent(subject.slice(subject.indexOf(":") + 1))}`;

export function Bindings({ state, manages }) {
  const found = useData("bindings");
  const [refused, setRefused] = useState(null);
  const may = (subject) => mayWrite(state) || manages.some((team) => subject === `team:${team}`);

  async function change(subject, options, text) {
    setRefused(null);
    try {
      await ask(path(subject), { ...options, ifMatch: found.etag });
      say(text);
    } catch (error) {
      setRefused(error);
    }
    found.reload();
    refresh();
  }
  const end = (subject) => change(subject, { method: "DELETE" }, t("bind.ended", { subject }));
  const bind = (subject, profile) => change(subject, { method: "PUT", body: { profile } }, t("bind.said", { subject, profile }));

  return html`<${Card} title=${t("bind.title")} note=${t("bind.note")}>
    ${refused && html`<${Failure} error=${refused} />`}
    <${Loaded} of=${found} rows=${2}>${({ bindings }) => (bindings.length === 0 ? html`<p class="note">${t(mayReadAll(state) ? "bind.none" : "bind.none_yours")}</p>`
      : html`<${Table} label=${t("bind.title")} head=${[t("bind.subject"), t("word.profile"), t("bind.beyond"), { text: t("bind.change"), right: true }]}>
        ${bindings.map(({ subject, profile, beyond }) => html`<tr key=${subject}><th scope="row"><${Name} of=${subject} /></th>
          <td>${profile ?? html`<span class="note">${t("play.active")}</span>`}</td>
          <td>${beyond ? t("bind.beyond.text", { share: percent(beyond.share, 0), profile: beyond.profile }) : "\u2013"}</td>
          <td class="right"><${Button} disabled=${!may(subject)} aria-label=${t("bind.end_of", { subject })} onClick=${() => end(subject)}>${t("bind.end")}<//></td></tr>`)}<//>`)}<//>
    ${(mayWrite(state) || manages.length > 0) && html`<${BindForm} profiles=${ordered(state.profiles)} manages=${mayWrite(state) ? [] : manages} onBind=${bind} />`}<//>`;
}

function BindForm({ profiles, manages, onBind }) {
  const [kind, setKind] = useState("team");
  const [name, setName] = useState(manages[0] ?? "");
  const [profile, setProfile] = useState(profiles[0]?.name ?? "");
  const submit = (event) => {
    event.preventDefault();
    if (name.trim() && profile) onBind(`${kind}:${name.trim()}`, profile);
  };
  return html`<form class="filters" onSubmit=${submit}>
    ${manages.length === 0 && html`<${Field} label=${t("bind.kind")}><select value=${kind} onChange=${(event) => setKind(event.target.value)}>
      <option value="team">${t("word.team")}</option><option value="key">${t("sign.key")}</option></select><//>`}
    <${Field} label=${t("bind.subject")}>${manages.length
      ? html`<select value=${name} onChange=${(event) => setName(event.target.value)}>${manages.map((team) => html`<option value=${team}>${team}</option>`)}</select>`
      : html`<input value=${name} maxlength="128" autocomplete="off" spellcheck=${false} onInput=${(event) => setName(event.target.value)} />`}<//>
    <${Field} label=${t("word.profile")}><select value=${profile} onChange=${(event) => setProfile(event.target.value)}>${profiles.map((each) => html`<option value=${each.name}>${each.name}</option>`)}</select><//>
    <button class="button main" disabled=${!name.trim()}>${t("bind.bind")}</button></form>`;
}
