// Who may do what: the caller's own rights, the roles, and the keys of the access file without their secrets.

import { html } from "../dom.js";
import { useData } from "../data.js";
import { dateTime } from "../format.js";
import { t, word } from "../i18n.js";
import { mayReadAll } from "../live.js";
import { Badge, Card, Code, Empty, Loaded, Page, Table } from "../parts/basics.js";
import { Bindings } from "./bindings.js";

const RIGHTS = [
  ["read_profiles", ["admin", "viewer", "member"]],
  ["read_all", ["admin", "viewer"]],
  ["validate", ["admin", "viewer"]],
  ["change", ["admin"]],
];
const EVERY_MS = 60_000; // rights change without a revision, too
const ROLES = ["admin", "viewer", "member"];

export function Access({ state }) {
  const found = useData("access", { every: EVERY_MS });
  return html`<${Page} title=${t("nav.access")} intro=${t("access.intro")} />
    <${Loaded} of=${found} rows=${4}>${(data) => html`
      <${Card} title=${t("access.you")}><dl class="facts wide">
        <div><dt>${t("access.name")}</dt><dd>${data.you.name}</dd></div>
        <div><dt>${t("access.role")}</dt><dd>${word("role", data.you.role)}</dd></div>
        <div><dt>${t("word.team")}</dt><dd>${data.you.team ?? "\u2013"}</dd></div>
        <div><dt>${t("access.override")}</dt><dd>${list(data.you.profiles)}</dd></div>
        ${data.you.max_tier && html`<div><dt>${t("access.max_tier")}</dt><dd>${word("tier", data.you.max_tier)}</dd></div>`}
        <${Confined} of=${data.you} />
        ${data.you.manages?.length > 0 && html`<div><dt>${t("access.manages")}</dt><dd>${list(data.you.manages)}</dd></div>`}</dl><//>
      <${Card} title=${t("access.roles")}>
        <${Table} label=${t("access.roles")} head=${[t("access.right"), ...ROLES.map((role) => word("role", role))]}>
          ${RIGHTS.map(([right, roles]) => html`<tr key=${right}><th scope="row">${t(`right.${right}`)}</th>
            ${ROLES.map((role) => html`<td>${roles.includes(role) ? html`<span class="good-text">${t("word.yes")}</span>` : t("word.no")}</td>`)}</tr>`)}
        <//><//>
      <${Bindings} state=${state} manages=${data.you.manages ?? []} keys=${data.keys} />
      <${Teams} profiles=${state.profiles} />
      <${Keys} keys=${data.keys} all=${mayReadAll(state)} />`}<//>`;
}

// Where the data of a caller's requests may go, where anything is said of it.
function Confined({ of }) {
  return html`${of.residency.length > 0 && html`<div><dt>${t("access.residency")}</dt><dd>${list(of.residency)}</dd></div>`}
    ${of.personal_data !== "allow" && html`<div><dt>${t("access.personal_data")}</dt><dd>${word("personal_data", of.personal_data)}</dd></div>`}`;
}

function list(names) {
  if (!names.length) return "\u2013";
  return names.map((name, place) => html`${place > 0 && ", "}<${Code} of=${name === "*" ? t("access.every") : name} />`);
}

function Teams({ profiles }) {
  const limited = profiles.filter(({ allowed_teams, hidden }) => allowed_teams.length || hidden);
  return html`<${Card} title=${t("access.profiles")}>
    ${limited.length === 0 ? html`<p class="note">${t("access.profiles.none")}</p>` : html`<${Table} label=${t("access.profiles")} head=${[t("word.profile"), t("access.teams"), t("access.hidden")]}>
      ${limited.map((profile) => html`<tr key=${profile.name}><th scope="row">${profile.name}</th><td>${list(profile.allowed_teams)}</td>
        <td>${t(profile.hidden ? "word.yes" : "word.no")}</td></tr>`)}<//>`}<//>`;
}

function Keys({ keys, all }) {
  if (keys === null && !all) return html`<${Card} title=${t("access.keys")}><${Empty} title=${t("state.denied")}>${t("state.denied.fix")}<//><//>`;
  if (keys === null) return html`<${Card} title=${t("access.keys")}><${Empty} title=${t("access.keys.elsewhere")}>${t("access.keys.elsewhere.fix")}<//><//>`;
  if (!keys.length) return html`<${Card} title=${t("access.keys")}><${Empty} title=${t("access.keys.none")}>${t("access.keys.none.fix")}<//><//>`;
  return html`<${Card} title=${t("access.keys")} note=${t("access.keys.note")}>
    <${Table} label=${t("access.keys")} head=${[t("access.name"), t("access.role"), t("word.team"), t("access.tasks"), t("access.override"), t("access.residency"), t("access.personal_data"), t("access.expires")]}>
      ${keys.map((key) => html`<tr key=${key.name}><th scope="row">${key.name}</th>
        <td><${Badge} tone=${key.role === "admin" ? "accent" : "plain"}>${word("role", key.role)}<//></td><td>${key.team ?? "\u2013"}</td>
        <td>${key.tasks.length ? list(key.tasks) : t("access.all_tasks")}</td><td>${list(key.profiles)}</td>
        <td>${list(key.residency)}</td><td>${word("personal_data", key.personal_data)}</td>
        <td>${key.expires ? dateTime(key.expires) : t("access.never")}</td></tr>`)}<//><//>`;
}
