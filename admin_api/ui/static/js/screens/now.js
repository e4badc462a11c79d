// Which profile answers, and the others to switch to.

import { html, useState } from "../dom.js";
import { useData } from "../data.js";
import { label, t, word } from "../i18n.js";
import { fresh, mayReadAll, mayWrite } from "../live.js";
import { Ago, Badge, Button, Card, Empty, Page, Problems, Said } from "../parts/basics.js";
import { ChangeDialog } from "../parts/change.js";
import { because, Deed, who } from "../parts/deed.js";
import { PolicyCard } from "../parts/policy.js";
import { RolloutCard } from "../parts/rollout.js";
import { ShadowCard } from "../parts/shadow.js";
import { Health } from "../parts/health.js";
import { Traffic } from "../parts/traffic.js";
import { useQuickSwitch } from "../parts/undo.js";
import { ordered } from "../vocabulary.js";

const LAST = 5;

export function Now({ state }) {
  const { status, profiles } = state;
  const log = useData(mayReadAll(state) ? `audit?limit=${LAST}` : null);
  const entry = log.data?.entries.find(({ revision }) => revision === status.revision);
  const [change, setChange] = useState(null);
  const { busy, go, bar } = useQuickSwitch(setChange);
  const may = mayWrite(state);
  // A comparison, a policy and a rollout on its way change no mapping that could be returned to.
  const undoable = entry?.profile_before && (!["shadow", "policy", "rollout"].includes(entry.action) || entry.profile_before !== entry.profile_after || entry.changes.length > 0);
  const undo = undoable && (() => setChange({ kind: "rollback", to: entry.revision - 1, profile: entry.profile_before }));
  return html`<${Page} title=${t("now.title")} intro=${t("now.intro")} />
    <${Health} state=${state} />
    <${Warnings} status=${status} />
    ${status.ready
      ? html`<${Active} status=${status} fresh=${fresh(state)} entry=${entry} undo=${may && undo} />`
      : html`<section class="card"><${Empty} title=${t("now.not_ready")}>${t("now.not_ready.fix")}<//></section>`}
    <${RolloutCard} state=${state} />
    <${ShadowCard} state=${state} />
    <${Traffic} all=${mayReadAll(state)} />
    <h2 class="section">${t("now.others")}</h2>
    <div class="profiles">${ordered(profiles).map((profile) => html`<${ProfileCard} key=${profile.name} profile=${profile} busy=${busy === profile.name}
      active=${profile.name === status.active_profile} may=${may && busy === null} onSwitch=${() => go(profile.name)} onLook=${() => setChange({ kind: "switch", profile: profile.name })} />`)}</div>
    ${!may && html`<p class="note">${t("now.read_only")}</p>`}
    <${PolicyCard} state=${state} />
    <${LastChanges} entries=${log.data?.entries ?? []} />
    ${bar}
    ${change && html`<${ChangeDialog} change=${change} onClose=${() => setChange(null)} />`}`;
}

function LastChanges({ entries }) {
  if (!entries.length) return null;
  return html`<${Card} title=${t("now.last")} tools=${html`<span class="grow"></span><a href="#/audit">${t("now.all")}</a>`}>
    <ul class="marks">${entries.map((entry) => html`<li key=${entry.revision}><span class="rev">${entry.revision}</span>
      <span><${Deed} entry=${entry} />${entry.reason && html` <span class="note">\u201c${because(entry)}\u201d</span>`}</span>
      <span class="note"><span title=${entry.actor.name}>${who(entry)}</span> \u00b7 <${Ago} at=${entry.at} /></span></li>`)}</ul><//>`;
}

function Warnings({ status }) {
  const warnings = status.warnings ?? [];
  const problems = status.problems ?? [];
  if (!warnings.length && !problems.length) return null;
  return html`<div class="notice warn" role="status"><strong>${t("now.attention")}</strong>
    ${warnings.map((warning) => html`<div><${Said} instead=${t("change.warning")}>${warning}<//></div>`)}<${Problems} problems=${problems} /></div>`;
}

function Active({ status, fresh: certain, entry, undo }) {
  const meta = status.profile_metadata;
  const workers = status.workers?.filter((worker) => worker.live);
  const current = workers?.filter((worker) => worker.revision === status.revision);
  return html`<section class="card hero" aria-label=${t("now.active")}>
    <div>
      <span class="eyebrow">${t("now.active")}</span>
      <p class="giant" data-active=${status.active_profile}>${status.active_profile}</p>
      <p class="intro">${meta.description}</p>
      <p class="badges"><${Badge}>${t("level.cost")}: ${label("cost", meta.cost_level)}<//><${Badge}>${t("level.performance")}: ${label("performance", meta.performance_level)}<//></p>
      ${undo && html`<div class="hero-actions"><${Button} onClick=${undo}>${t("now.undo")}<//></div>`}
    </div>
    <dl class="facts">
      <div><dt>${t("now.revision")}</dt><dd>${status.revision}</dd></div>
      <div><dt>${t("now.since")}</dt><dd><${Ago} at=${status.committed_at} /></dd></div>
      ${entry && html`<div><dt>${t("now.by")}</dt><dd title=${entry.actor.name}>${who(entry)} \u00b7 ${word("action", entry.action)}
        ${entry.reason && html`<small>${because(entry)}</small>`}</dd></div>`}
      ${status.why && html`<div><dt>${t("now.why")}</dt><dd><small data-why><${Said} instead=${word("policy_level", status.decided_by)}>${status.why}<//></small></dd></div>`}
      ${workers && html`<div><dt>${t("now.workers")}</dt><dd>${certain ? html`<span class=${current.length < workers.length ? "warn-text" : "good-text"}>${t("now.workers.of", { done: current.length, all: workers.length })}</span>` : "\u2013"}</dd></div>`}
      ${status.embedded_groups.length > 0 && html`<div><dt>${t("now.embedded")}</dt><dd>${t("now.embedded.count", { count: status.embedded_groups.length })}</dd></div>`}
    </dl>
  </section>`;
}

function ProfileCard({ profile, active, may, busy, onSwitch, onLook }) {
  const groups = new Set(Object.values(profile.tasks)).size;
  return html`<section class=${`card profile ${active ? "active" : ""}`} aria-label=${profile.name}>
    <h3>${profile.name}</h3>
    <p class="intro">${profile.description}</p>
    <dl class="levels">
      <div><dt>${t("level.cost")}</dt><dd>${label("cost", profile.cost_level)}</dd></div>
      <div><dt>${t("level.performance")}</dt><dd>${label("performance", profile.performance_level)}</dd></div>
    </dl>
    <p class="note">${t("now.tasks", { tasks: Object.keys(profile.tasks).length, groups })}</p>
    ${active
      ? html`<p class="is-active">${t("now.is_active")}</p>`
      : html`<div class="both"><${Button} kind="main" busy=${busy} disabled=${!may} aria-label=${t("now.switch_to", { profile: profile.name })} onClick=${onSwitch}>${t("now.switch")}<//>
        <${Button} disabled=${!may} aria-label=${t("now.look_at", { profile: profile.name })} onClick=${onLook}>${t("now.look")}<//></div>`}
  </section>`;
}
