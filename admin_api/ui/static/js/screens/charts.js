// Recorded usage as curves: how many requests, how fast, how well, at what cost, on which tier. The address narrows it.

import { html, useMemo } from "../dom.js";
import { narrow, useAddress } from "../address.js";
import { useData } from "../data.js";
import { dateTime, duration, shortName, milliseconds, money, number, percent } from "../format.js";
import { t, word } from "../i18n.js";
import { mayReadAll } from "../live.js";
import { Button, Card, Code, Empty, Field, Loaded, Page } from "../parts/basics.js";
import { Curve } from "../parts/curve.js";
import { costLines, tierLines } from "../parts/lines.js";
import { PeriodChoice } from "../parts/period.js";
import { DAY, useAskedPeriod, usePeriod } from "../period.js";

const EVERY_MS = 5_000;
const FILTERS = ["profile", "task", "tier", "served_group", "team"];
const WORDS = { served_group: "group" };
const MARKED = ["switch", "rollback"];
const NAMELESS = "-"; // in the address, where nothing would mean "all"

const RED = 5;
const AMBER = 2;

export function Charts({ state }) {
  const [period, setPeriod] = useAskedPeriod("1h");
  const { asked } = useAddress();
  const { query, since } = usePeriod(period);
  const only = FILTERS.filter((name) => name in asked).map((name) => [name, asked[name] === NAMELESS ? "" : asked[name]]);
  const narrowed = only.map(([name, value]) => `&${name}=${encodeURIComponent(value)}`).join("");
  const series = useData(`usage/series?${query}${narrowed}`, { name: `${period}${narrowed}`, every: EVERY_MS });
  const marks = useMarks(mayReadAll(state) ? since : null, period);
  return html`<${Page} title=${t("nav.charts")} intro=${t(mayReadAll(state) ? "charts.intro" : "charts.intro_team")} tools=${html`<${PeriodChoice} value=${period} onChange=${setPeriod} />`} />
    <${Loaded} of=${series} rows=${8} absent=${t("cost.absent")}>${(data) => html`
      <${Narrowing} names=${data.names} asked=${asked} />
      ${data.total.requests === 0 ? html`<${Empty} title=${t("cost.none")}>${t("cost.none.fix")}<//>` : html`<${Drawn} data=${data} marks=${marks} />`}
      <${Marked} marks=${marks} />
      <p class="note">${t("charts.step", { step: length(data.step), told: length(data.told_apart) })}</p>`}<//>`;
}

const length = (seconds) => duration(seconds / DAY);

function Narrowing({ names, asked }) {
  const shown = FILTERS.filter((name) => name in asked || (names[name] ?? []).length > 1);
  const title = (name, value) => (value === "" ? t("cost.no_name") : name === "tier" ? word("tier", value) : value);
  const set = (name) => (event) => narrow({ [name]: event.target.value });
  return html`<form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
    ${shown.map((name) => {
      const known = [...new Set([...names[name], ...(name in asked && asked[name] !== NAMELESS ? [asked[name]] : [])])];
      return html`<${Field} key=${name} label=${t(`word.${WORDS[name] ?? name}`)}><select value=${asked[name] ?? ""} onChange=${set(name)}>
        <option value="">${t("audit.all")}</option>
        ${known.map((value) => html`<option value=${value || NAMELESS}>${title(name, value)}</option>`)}</select><//>`;
    })}
    ${FILTERS.some((name) => name in asked) && html`<${Button} onClick=${() => narrow(Object.fromEntries(FILTERS.map((name) => [name, ""])))}>${t("charts.all")}<//>`}</form>`;
}

function Drawn({ data, marks }) {
  const { curves } = data;
  const over = data;
  const line = (name, values, tone) => ({ name, values, tone });
  const cost = costLines(data);
  const tiers = tierLines(data);
  const chart = (key, note, lines, show, more) => html`<${Card} title=${t(`charts.${key}`)} note=${note}><${Curve} label=${t(`charts.${key}`)} over=${over} lines=${lines} show=${show} marks=${marks} ...${more} /><//>`;
  const { total } = data;
  return html`<div class="charts">
    ${chart("requests", t("charts.requests.note", { count: number(total.requests) }), [line(t("cost.requests"), curves.requests, 0)], number, { stacked: true, whole: true })}
    ${chart("latency", t("charts.latency.note", { p50: milliseconds(total.latency_p50_ms), p95: milliseconds(total.latency_p95_ms) }),
      [line("p95", curves.latency_p95_ms, AMBER), line("p50", curves.latency_p50_ms, 0), line(t("charts.first"), curves.first_token_p50_ms, 1)], milliseconds)}
    ${chart("errors", t("charts.errors.note", { errors: percent(total.error_rate), fallbacks: percent(total.fallback_rate) }),
      [line(t("cost.errors"), curves.errors, RED), line(t("cost.fallback"), curves.fallbacks, AMBER)], number, { stacked: true, whole: true, calm: t("charts.errors.none") })}
    ${chart("cost", t("charts.cost.note", { cost: money(total.cost_usd) }), cost, money, { stacked: true })}
    ${tiers.length > 0 && chart("tiers", t("charts.tiers.note"), tiers, (share) => percent(share, 0), { stacked: true, top: 1 })}</div>`;
}

// When somebody changed what answers; for keys that may not see the log, never.
function useMarks(since, period) {
  const log = useData(since === null ? null : `audit?limit=100&since=${since}`, { name: `marks ${period}` });
  return useMemo(() => (log.data?.entries ?? []).filter(({ action, profile_before: before }) => MARKED.includes(action) && before)
    .map(({ at, action, profile_before: before, profile_after: after, revision, actor }) => ({ at, revision, before, after, by: shortName(actor), text: `${word("action", action)}: ${before} \u2192 ${after}` })), [log.data]);
}

function Marked({ marks }) {
  if (!marks.length) return null;
  return html`<${Card} title=${t("charts.marks")} note=${t("charts.marks.note")}><ul class="marks">${marks.map(({ at, revision, text, by }) => html`<li key=${revision}>
    <span class="rev">${revision}</span><span>${text}</span><span class="note">${by} \u00b7 ${dateTime(at)}</span></li>`)}</ul><//>`;
}
