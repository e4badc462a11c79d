// Every profile and every task in one table: who answers, what is wrong with it, and whether real requests have shown that it does.

import { html, steady, useCallback, useEffect, useMemo, useRef, useState } from "../dom.js";
import { ask } from "../api.js";
import { useData } from "../data.js";
import { milliseconds, money, number } from "../format.js";
import { language, t, word } from "../i18n.js";
import { mayReadAll, mayWrite } from "../live.js";
import { Ago, AsOf, Badge, Button, Card, Code, Failure, Page, Problems, say, Table } from "../parts/basics.js";
import { CellDialog, ELSEWHERE, TONES } from "../parts/cell.js";
import { startProbes, stopProbes, useProbes } from "../probes.js";
import { ordered } from "../vocabulary.js";

const STATS_MS = 5_000;
const FAILING = ["failing", "unavailable", "cooldown"];
const NO_CELLS = [];
const STATES = ["green", "red", "too_old", "not_loaded", "unknown"];

export function Matrix({ state }) {
  const profiles = useMemo(() => ordered(state.profiles), [state.profiles]);
  const tasks = useMemo(() => [...new Set(profiles.flatMap((profile) => Object.keys(profile.tasks)))], [profiles]);
  const proof = useData("proof/matrix");
  const [check, setCheck] = useState({ busy: false, found: null, error: null });
  const probes = useProbes();
  useEnd(probes.busy, proof.reload);
  const stats = useData(mayReadAll(state) ? "router/stats" : null, { every: STATS_MS });
  const [open, setOpen] = useState(null); // {profile, task} of the cell that is looked into
  const look = useCallback((profile, task) => setOpen({ profile, task }), []);
  const cells = proof.data?.cells ?? NO_CELLS;
  const proven = useMemo(() => new Map(cells.map((cell) => [placeOf(cell.profile, cell.task), cell])), [cells]);

  async function run() {
    setCheck({ busy: true, found: null, error: null });
    try {
      const { data } = await ask("proof/validate", { method: "POST", reads: true });
      setCheck({ busy: false, found: data, error: null });
    } catch (error) {
      setCheck({ busy: false, found: null, error });
    }
  }

  const tools = mayReadAll(state) && html`<${Button} busy=${check.busy} onClick=${run}>${t("matrix.check")}<//>`;
  return html`<${Page} title=${t("matrix.title")} intro=${t("matrix.intro")} tools=${tools} />
    ${check.error && html`<${Failure} error=${check.error} />`}
    ${check.found && html`<div class=${`notice ${check.found.valid ? "good" : "bad"}`} role="status">
      <strong>${t(check.found.valid ? "matrix.valid" : "matrix.invalid")}</strong><${Problems} problems=${check.found.problems} /></div>`}
    <${Failing} active=${state.status.active_profile} mappings=${state.status.active_mappings} cells=${cells} stats=${stats.data} />
    ${proof.data && html`<${Totals} cells=${cells} />`}
    ${proof.data && mayWrite(state) && html`<${Prove} probes=${probes} gate=${proof.data.gate} />`}
    <${Card} class="card matrix">
      <${Table} key=${language()} label=${t("matrix.title")} head=${[t("word.task"), ...profiles.map(({ name }) => ({ text: name }))]}>
        ${tasks.map((task) => html`<${Row} key=${task} task=${task} profiles=${profiles} proven=${proven} found=${probes.found} check=${check.found}
          active=${state.status.active_profile} onOpen=${look} />`)}
      <//>
      ${open && html`<${CellDialog} ...${open} group=${profiles.find(({ name }) => name === open.profile).tasks[open.task]} cell=${proven.get(placeOf(open.profile, open.task))}
        problems=${problemsOf(check.found, open.profile, open.task)} may=${mayWrite(state) && proof.data !== null} onProven=${proof.reload} onClose=${() => setOpen(null)} />`}
      ${proof.error && html`<p class="note">${proof.error.status === 403 ? t("matrix.live.denied") : proof.error.absent ? t("matrix.live.absent") : proof.data ? html`<${AsOf} at=${proof.at} />` : t("state.loading")}</p>`}
    <//>`;
}

// Calls `onEnd` when a run ends while the screen is shown.
function useEnd(busy, onEnd) {
  const before = useRef(busy);
  useEffect(() => {
    if (before.current && !busy) {
      say(t("matrix.ended"));
      onEnd();
    }
    before.current = busy;
  }, [busy]);
}

function Prove({ probes, gate }) {
  const [wake, setWake] = useState(false);
  return html`<${Card} title=${t("matrix.prove")} note=${t("matrix.prove.note")}>
    ${probes.error && html`<${Failure} error=${probes.error} />`}
    <div class="filters">
      ${probes.busy ? html`<${Button} onClick=${stopProbes}>${t("matrix.stop")}<//>` : html`<${Button} kind="main" onClick=${() => startProbes(wake)}>${t("matrix.start")}<//>`}
      <label class="check-line"><input type="checkbox" checked=${wake} disabled=${probes.busy} onChange=${(event) => setWake(event.target.checked)} /> ${t("matrix.wake")}</label>
      <span class="note">${t("matrix.gate")} <${Badge}>${word("gate", gate)}<//></span></div>
    ${probes.done !== null && html`<div class="chart" role="status"><progress aria-label=${t("matrix.prove")} max=${probes.wanted ?? 1} value=${probes.wanted ? probes.done : undefined}></progress>
      <p class="note">${t("matrix.progress", { done: number(probes.done), wanted: probes.wanted === null ? "\u2026" : number(probes.wanted), cost: money(probes.cost) })}</p></div>`}<//>`;
}

// The one warning: what answers now leads to a group that was shown to fail, or that fails right now.
function Failing({ active, mappings, cells, stats }) {
  const red = new Set(cells.filter(({ profile, state }) => profile === active && state === "red").map(({ task }) => task));
  const failing = (group) => {
    const there = (stats?.deployments ?? []).filter((entry) => entry.group === group);
    return there.length > 0 && there.every(({ health }) => FAILING.includes(health));
  };
  const wrong = Object.entries(mappings).filter(([task, group]) => red.has(task) || failing(group));
  if (!wrong.length) return null;
  return html`<div class="notice bad" role="status"><strong>${t("matrix.failing", { count: number(wrong.length), profile: active })}</strong>
    <ul class="problems">${wrong.map(([task, group]) => html`<li key=${task}><${Code} of=${task} /> \u2192 <${Code} of=${group} /></li>`)}</ul></div>`;
}

function Totals({ cells }) {
  const count = (state) => cells.filter((cell) => cell.state === state).length;
  const oldest = Math.min(...cells.map(({ checked_at: at }) => at ?? Infinity));
  return html`<p class="badges" aria-label=${t("matrix.totals")}>
    ${STATES.filter(count).map((state) => html`<${Badge} key=${state} tone=${TONES[state]}>${word("cell", state)} ${number(count(state))}<//>`)}
    <span class="note">${t("matrix.of", { count: number(cells.length) })}${Number.isFinite(oldest) && html`, ${t("matrix.oldest")} <${Ago} at=${oldest} />`}</span></p>`;
}

const placeOf = (profile, task) => `${profile}\n${task}`;
const problemsOf = (check, profile, task) => check?.problems.filter(({ file, path }) => file.startsWith(`${profile}.`) && path === `tasks.${task}`) ?? [];

// Of up to 64 by 64 cells only those are drawn anew that changed.
const Row = steady(({ task, profiles, proven, found, check, active, onOpen }) => html`<tr><th scope="row"><${Code} of=${task} /></th>
  ${profiles.map(({ name, tasks }) => {
    const cell = proven.get(placeOf(name, task));
    return html`<${Cell} key=${name} profile=${name} task=${task} group=${tasks[task]} residency=${cell?.residency}
      cell=${cell && (found[`${cell.group} ${cell.shape}`] ?? cell)} wrong=${problemsOf(check, name, task)[0]?.code} active=${name === active} onOpen=${onOpen} />`;
  })}</tr>`);

// `cell` is what a run has found so far, or what was stored when the screen was opened.
const Cell = steady(({ profile, task, group, cell, residency, wrong, active, onOpen }) => html`<td class=${active ? "column-active" : undefined}>
  ${!group ? "\u2013" : html`<button type="button" class="cell" onClick=${() => onOpen(profile, task)}><${Code} of=${group} />
    ${wrong && html` <${Badge} tone="bad">${word("problem", wrong)}<//>`}
    ${residency && html` <${Badge} tone=${ELSEWHERE[residency]}>${word("residency", residency)}<//>`}
    ${cell && html`<span class="proof" data-state=${cell.state}><${Badge} tone=${TONES[cell.state] ?? "plain"}>${word("cell", cell.state)}<//>
      <small>${cell.state === "red" || cell.state === "not_loaded" ? word("probe", cell.why) : cell.latency_ms !== null && milliseconds(cell.latency_ms)}</small>
      ${cell.checked_at && html`<small><${Ago} at=${cell.checked_at} /></small>`}</span>`}</button>`}</td>`);
