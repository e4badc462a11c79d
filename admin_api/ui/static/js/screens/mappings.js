// Which model group answers each task, profile by profile, and the edit of one mapping.

import { html, useState } from "../dom.js";
import { useData } from "../data.js";
import { t, word } from "../i18n.js";
import { mayWrite } from "../live.js";
import { Badge, Button, Card, Code, Empty, Page, Segments, Table } from "../parts/basics.js";
import { EditDialog } from "./edit.js";
import { WholeDialog } from "./whole.js";
import { ordered } from "../vocabulary.js";

export function Mappings({ state }) {
  const profiles = ordered(state.profiles);
  const [chosen, setChosen] = useState(state.status.active_profile);
  const [edit, setEdit] = useState(null);
  const [whole, setWhole] = useState(null);
  const profile = profiles.find(({ name }) => name === chosen) ?? profiles[0];
  const groups = useGroups(profiles);
  if (!profile) return html`<${Page} title=${t("nav.mappings")} /><${Empty} title=${t("now.not_ready")} />`;
  const active = state.status.active_mappings;
  return html`<${Page} title=${t("nav.mappings")} intro=${t("mappings.intro")} />
    <${Segments} label=${t("word.profile")} value=${profile.name} onChange=${setChosen}
      options=${profiles.map(({ name }) => [name, html`${name}${name === state.status.active_profile && html` <span class="dot" title=${t("now.is_active")}></span>`}`])} />
    <${Card} title=${t("mappings.tasks")} note=${profile.description} tools=${html`<span class="grow"></span><${Button} disabled=${!mayWrite(state)} onClick=${() => setWhole({ profile, etag: state.etag, fresh: true })}>${t("whole.new")}<//><${Button} disabled=${!mayWrite(state)} onClick=${() => setWhole({ profile, etag: state.etag })}>${t("whole.open")}<//>`}>
      <${Table} label=${t("mappings.tasks")} head=${[t("word.task"), t("word.group"), t("mappings.versus"), { text: t("mappings.edit"), right: true }]}>
        ${Object.entries(profile.tasks).map(([task, group]) => html`<tr key=${task}>
          <th scope="row"><${Code} of=${task} /></th>
          <td><${Code} of=${group} />${state.status.embedded_groups.includes(group) && html` <${Badge}>${t("mappings.embedded")}<//>`}</td>
          <td>${group === active[task] ? html`<span class="note">${t("mappings.same")}</span>` : html`<${Code} was of=${active[task] ?? "\u2013"} />`}</td>
          <td class="right"><${Button} disabled=${!mayWrite(state)} aria-label=${t("mappings.edit_task", { task })}
            onClick=${() => setEdit({ profile: profile.name, task, group, etag: state.etag })}>${t("mappings.edit")}<//></td></tr>`)}
      <//>
      ${!mayWrite(state) && html`<p class="note">${t("now.read_only")}</p>`}
    <//>
    <${Card} title=${t("mappings.ladder")} note=${t("mappings.ladder.note")}>
      <dl class="ladder">${["fast", "medium", "complex"].map((tier) => html`<div key=${tier}><dt>${word("tier", tier)}</dt>
        <dd>${(profile.tiers[tier] ?? []).map((group, place) => html`${place > 0 && " \u2192 "}<code>${group}</code>`)}</dd></div>`)}</dl>
      <p class="note">${t("mappings.auto", { uncertain: word("tier", profile.uncertain), overload: word("overload", profile.on_overload), sticky: word("sticky", profile.stickiness) })}</p>
    <//>
    ${whole && html`<${WholeDialog} profile=${whole.profile} etag=${whole.etag} taken=${whole.fresh && profiles.map(({ name }) => name)} groups=${groups} onClose=${() => setWhole(null)} />`}
    ${edit && html`<${EditDialog} edit=${edit} groups=${groups} onClose=${() => setEdit(null)} />`}`;
}

// The groups to choose from: what the proxy's registry knows, else what some profile uses.
function useGroups(profiles) {
  const registry = useData("router/registry");
  const known = new Set((registry.data?.deployments ?? []).map(({ group }) => group));
  for (const { tasks, tiers } of profiles) {
    for (const group of [...Object.values(tasks), ...Object.values(tiers).flat()]) known.add(group);
  }
  return [...known].sort();
}
