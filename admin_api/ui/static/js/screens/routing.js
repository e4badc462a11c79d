// Automatic routing: which tiers and tasks were chosen, how every deployment stands, and a place to try a prompt.

import { html, useEffect, useRef, useState } from "../dom.js";
import { useData } from "../data.js";
import { clock, milliseconds, number, percent, timesLike } from "../format.js";
import { t, word } from "../i18n.js";
import { mayReadAll } from "../live.js";
import { Badge, Button, Card, Code, Empty, Figure, Figures, Loaded, Page, Table } from "../parts/basics.js";
import { Bars, Donut, Spark } from "../parts/chart.js";
import { PeriodChoice } from "../parts/period.js";
import { ToldDialog } from "../parts/told.js";
import { useAskedPeriod, usePeriod } from "../period.js";
import { TIERS } from "../vocabulary.js";
import { Decisions } from "./decisions.js";
import { Playground } from "./playground.js";

const EVERY_MS = 3_000;
const RECORDED_MS = 5_000;
const MANY_ERRORS = 0.05;
const KEPT = 60; // samples of the curves: three minutes
const HEALTH_TONES = { ok: "good", probing: "accent", slow: "warn", failing: "bad", cooldown: "bad", unavailable: "bad" };

export function Routing({ state }) {
  const found = useData("router/stats", { every: EVERY_MS });
  const history = useHistory(found);
  const all = mayReadAll(state);
  const [period, setPeriod] = useAskedPeriod("24h");
  const { query } = usePeriod(period);
  const routed = useData(`usage?by=tier,task&${query}`, { name: `routed ${period}`, every: RECORDED_MS });
  const served = useData(`usage?by=served_group&${query}`, { name: `served ${period}`, every: RECORDED_MS });
  const chosen = useData(`usage?by=chosen_group&${query}`, { name: `chosen ${period}`, every: RECORDED_MS });
  return html`<${Page} title=${t("nav.routing")} intro=${t("routing.intro")} tools=${html`<${PeriodChoice} value=${period} onChange=${setPeriod} />`} />
    <${Card} title=${t("routing.models")} note=${t(all ? "routing.recorded" : "routing.recorded_team")}>
      <${Loaded} of=${routed} rows=${4} absent=${t("cost.absent")}>${(usage) => html`<${Recorded} lines=${usage.lines.filter(({ names }) => names.tier)} total=${usage.total} />`}<//>
      <${Loaded} of=${served} rows=${4} absent=${t("cost.absent")}>${(usage) => html`<${Groups} usage=${usage} chosen=${chosen.data?.lines ?? []} />`}<//><//>
    <${Decisions} all=${all} />
    <${Loaded} of=${found} rows=${8} absent=${t("routing.absent")}>${(stats) => html`
      <${Summary} stats=${stats} />
      <${Deployments} stats=${stats} history=${history} ladders=${state.profiles.find(({ name }) => name === state.status.active_profile)?.tiers ?? {}} alone=${stats.statistics === "memory" && (state.status.workers ?? []).filter(({ live }) => live).length > 1} />`}<//>
    <${Playground} profiles=${state.profiles} />
    <${ToldDialog} />`;
}

// Requests for auto by tier and task, and how often another model than the chosen one answered: what all workers have
// recorded, so it outlives them.
function Recorded({ lines, total }) {
  const sum = (of) => {
    const counts = new Map();
    for (const { names, figures } of lines) counts.set(names[of], (counts.get(names[of]) ?? 0) + figures.requests);
    return counts;
  };
  return html`<div class="grid">
    <div class="part"><h3>${t("routing.tiers")}</h3><${Tiers} counts=${sum("tier")} />
      <h3>${t("routing.fallback_rate")}</h3><p class="giant small">${percent(total.fallback_rate)}</p>
      <p class="note">${t("routing.fallback_rate.note", { fallbacks: number(total.fallbacks), requests: number(total.requests) })}</p></div>
    <div class="part"><h3>${t("routing.tasks")}</h3><${Counts} label=${t("routing.tasks")} counts=${sum("task")} /></div></div>`;
}

function Tiers({ counts }) {
  if (!counts.size) return html`<${Empty} title=${t("routing.none")}>${t("routing.none.fix")}<//>`;
  const parts = TIERS.map((tier) => ({ name: word("tier", tier), value: counts.get(tier) ?? 0 }));
  return html`<${Donut} label=${t("routing.tiers")} parts=${parts} />`;
}

function Counts({ label, counts }) {
  const parts = [...counts].sort(([, a], [, b]) => b - a).map(([name, value]) => ({ name: name ? html`<${Code} of=${name} />` : t("cost.no_name"), value, text: number(value) }));
  return parts.length ? html`<${Bars} label=${label} parts=${parts} />` : html`<${Empty} title=${t("routing.none")}>${t("routing.none.fix")}<//>`;
}

// Who answered all requests of the period, and how well; and how often another one had to in the place of a group.
function Groups({ usage: { lines, total }, chosen }) {
  const left = new Map(chosen.map(({ names, figures }) => [names.chosen_group, figures.fallback_rate]));
  const silent = chosen.map(({ names }) => names.chosen_group).filter((name) => !lines.some(({ names }) => names.served_group === name));
  const head = [t("routing.model"), ...["cost.requests", "routing.mean", "cost.p95_head", "routing.fallback_rate"].map((key) => ({ text: t(key), right: true }))];
  const all = [total, ...lines.map(({ figures }) => figures)];
  const [mean, p95] = [timesLike(all.map((each) => each.latency_mean_ms)), timesLike(all.map((each) => each.latency_p95_ms))];
  const row = (name, figures, rate) => html`<tr><th scope="row">${name}</th><td class="right">${number(figures?.requests ?? 0)}</td>
    <td class="right">${mean(figures?.latency_mean_ms)}</td><td class="right">${p95(figures?.latency_p95_ms)}</td>
    <td class="right">${percent(rate)}</td></tr>`;
  const named = (name, figures) => row(html`<${Code} of=${name || t("cost.no_name")} />`, figures, left.get(name));
  if (!lines.length) return html`<${Empty} title=${t("cost.none")}>${t("cost.none.fix")}<//>`;
  return html`<${Table} label=${t("routing.groups")} head=${head}>
      ${lines.map(({ names, figures }) => named(names.served_group, figures))}
      ${silent.map((name) => named(name))}
      ${row(t("routing.all"), total, total.fallback_rate)}<//>`;
}

// How it stands now: not counted up, but measured.
function Summary({ stats }) {
  const { deployments } = stats;
  const unwell = deployments.filter(({ health }) => health !== "ok" && health !== "probing").length;
  const flying = deployments.reduce((sum, { in_flight: count }) => sum + count, 0);
  return html`<${Figures}>
    <${Figure} label=${t("routing.mode")} value=${word("mode", stats.routing)} />
    <${Figure} label=${t("routing.unwell")} value=${number(unwell)} note=${t("routing.of", { count: deployments.length })} tone=${unwell ? "warn" : undefined} />
    <${Figure} label=${t("routing.in_flight")} value=${number(flying)} note=${t("routing.statistics", { mode: word("statistics", stats.statistics) })} /><//>`;
}

// The last minutes of every deployment, collected while the screen is open: the proxy keeps no curves.
function useHistory(found) {
  const kept = useRef(new Map());
  const [, seen] = useState(0);
  useEffect(() => {
    if (!found.data) return;
    for (const { id, recent } of found.data.deployments) {
      const points = kept.current.get(id) ?? [];
      points.push([recent?.total.p50_ms ?? null, recent?.total.p95_ms ?? null]);
      kept.current.set(id, points.slice(-KEPT));
    }
    seen(found.at);
  }, [found.at]);
  return kept.current;
}

// A group has the tier that the active profile uses it for, as its decisions have.
function Deployments({ stats, history, alone, ladders }) {
  const [all, setAll] = useState(false);
  const busy = stats.deployments.filter((entry) => entry.window || entry.health !== "ok");
  const shown = all || !busy.length ? stats.deployments : busy;
  if (!stats.deployments.length) return html`<${Card} title=${t("routing.deployments")}><${Empty} title=${t("routing.no_deployments")} /><//>`;
  const head = [t("word.group"), t("word.tier"), t("word.state"), ...["p50", "p95", "ttft", "speed", "errors", "in_flight"].map((name) => ({ text: t(`routing.${name}`), right: true })), t("routing.curve")];
  const times = TIMES.map((of) => [of, timesLike(shown.map(({ window }) => of(window)))]);
  return html`<${Card} title=${t("routing.deployments")} note=${t(alone ? "routing.window_alone" : "routing.window", { minutes: Math.round(stats.window_seconds / 60) })}>
    <${Table} label=${t("routing.deployments")} head=${head}>
      ${[...shown].sort((a, b) => rank(a) - rank(b) || a.group.localeCompare(b.group)).map((entry) => html`<${Row} key=${entry.id} entry=${entry} tiers=${TIERS.filter((tier) => ladders[tier]?.includes(entry.group))} times=${times} points=${history.get(entry.id) ?? []} />`)}
    <//>
    ${busy.length > 0 && busy.length < stats.deployments.length && html`<${Button} onClick=${() => setAll(!all)}>${t(all ? "routing.show_busy" : "routing.show_all", { count: stats.deployments.length })}<//>`}<//>`;
}

// It has failed more often than it should, yet too seldom for a verdict: then it is not said to be well.
const doubtful = ({ health, window }) => health === "ok" && window?.error_rate > MANY_ERRORS;

const TIMES = [(window) => window?.total.p50_ms, (window) => window?.total.p95_ms, (window) => window?.first_token.p50_ms];

const rank = ({ health, window }) => (health !== "ok" ? 0 : window ? 1 : 2);

function Row({ entry, tiers, times, points }) {
  const { window } = entry;
  const curve = points.some(([p50]) => p50 !== null);
  return html`<tr>
    <th scope="row" title=${entry.id}><${Code} of=${entry.group} /></th>
    <td>${tiers.length ? tiers.map((tier) => word("tier", tier)).join(", ") : "\u2013"}</td>
    <td>${doubtful(entry) ? html`<${Badge}>${t("routing.unjudged")}<//>` : html`<${Badge} tone=${HEALTH_TONES[entry.health] ?? "plain"}>${word("health", entry.health)}<//>`} <span class="note">${why(entry)}</span></td>
    ${times.map(([of, show]) => html`<td class="right">${show(of(window))}</td>`)}
    <td class="right">${window?.tokens_per_second ? t("routing.tokens", { count: number(window.tokens_per_second, 0) }) : "\u2013"}</td>
    <td class="right">${window ? percent(window.error_rate) : "\u2013"}</td><td class="right">${number(entry.in_flight)}</td>
    <td>${curve && html`<${Spark} label=${t("routing.curve.label", { group: entry.group })} lines=${[points.map(([p50]) => p50), points.map(([, p95]) => p95)]} />`}</td></tr>`;
}

function why({ why: reason, value, limit, unit, since, health }) {
  if (health === "ok" && !since) return "";
  const show = { share: percent, attempts: String }[unit] ?? milliseconds;
  const measured = unit ? `: ${show(value)} / ${show(limit)}` : "";
  return `${word("why", reason)}${measured}${since ? `, ${t("routing.since", { time: clock(since) })}` : ""}`;
}
