// A forecast as the dialog of a switch and the comparison of profiles show it. It must not know who asked for it.

import { html } from "../dom.js";
import { duration, money, number, percent, timesLike } from "../format.js";
import { t, word } from "../i18n.js";
import { Badge, Code, Said, Table } from "./basics.js";

export const price = (usd) => (usd === null ? t("cost.unpriced") : money(usd));

// What some requests cost: nothing is known where none was billed, as when all of them failed.
export const cost = ({ cost_usd: usd, priced, unpriced }) => (priced || unpriced ? price(usd) : money(null));

// How much more or less than before, where both are known and there was something before.
export function Delta({ before, after, more = "warn", less = "good" }) {
  if (before === null || after === null || !before) return null;
  const share = (after - before) / before;
  if (Math.abs(share) < 0.0005) return html`<${Badge}>\u00b1\u00a00<//>`;
  return html`<${Badge} tone=${share > 0 ? more : less}>${share > 0 ? "+" : "\u2212"}${percent(Math.abs(share))}<//>`;
}

const LEAST_DAYS = 0.25; // of a record that a whole day is told by

// Whether the record is long enough, and what an amount then is: a day's, or just that of the record.
export const tellsDays = (plan) => plan.days >= LEAST_DAYS;
export const amountOf = (plan, amount) => price(tellsDays(plan) ? amount.usd_per_day : amount.usd);

export function ForecastSummary({ plan }) {
  if (!plan.requests) return html`<p class="note">${t("change.forecast.unknown")}</p>`;
  const { cost_before: before, cost_after: after } = plan;
  const daily = tellsDays(plan);
  const days = daily ? plan.days : 1;
  return html`<div class="forecast">
    <p><span class="amount">${amountOf(plan, after)}</span> ${after.usd !== null && (daily ? t("change.per_day") : t("cost.amount.note", { span: duration(plan.days) }))} <${Delta} before=${before.usd} after=${after.usd} />
      ${after.high > after.low && html` <span class="note">${t("cost.range", { low: money(after.low / days), high: money(after.high / days) })}</span>`}</p>
    <p class="note">${t("cost.basis", { requests: number(plan.followed), span: duration(plan.days) })}
      ${after.unpriced > 0 && ` ${t("cost.unpriced.count", { count: number(after.unpriced) })}`}</p>
    ${plan.caches.cached_tokens > 0 && html`<p class="note">${t("cost.caches", { share: percent(plan.caches.share) })}
      ${daily && plan.caches.usd_per_day !== null && ` ${t("cost.caches.worth", { usd: money(plan.caches.usd_per_day) })}`}</p>`}
    <${Findings} findings=${plan.findings} /></div>`;
}

export function Findings({ findings }) {
  if (!findings.length) return null;
  return html`<ul class="problems">${findings.map((finding) => html`<li><${Badge} tone="warn">${word("violation", finding.kind)}<//> <${Code} of=${finding.task} /> \u2192 <${Code} of=${finding.group} /> <span class="note"><${Said}>${finding.detail}<//></span></li>`)}</ul>`;
}

export function Moves({ plan }) {
  const [before, after] = [timesLike(plan.moves.map((move) => move.latency_before?.p95_ms)), timesLike(plan.moves.map((move) => move.latency_after?.p95_ms))];
  return html`<${Table} label=${t("cost.moves")} head=${[t("word.task"), t("change.before"), t("change.after"), ...["requests", ...(tellsDays(plan) ? ["cost_before", "cost_after"] : ["amount_before", "amount_after"]), "p95_before", "p95_after"].map((name) => ({ text: t(`cost.${name}`), right: true })), t("cost.rests_on")]}>
    ${plan.moves.map((move) => html`<tr key=${move.task + move.before + move.after}><th scope="row">${move.task ? html`<${Code} of=${move.task} />` : t("cost.no_name")}</th>
      <td><${Code} of=${move.before} /></td><td>${move.after === move.before ? html`<span class="note">${t("cost.stays")}</span>` : html`<${Code} of=${move.after} />`}</td>
      <td class="right">${number(move.requests)}</td><td class="right">${amountOf(plan, move.cost_before)}</td><td class="right">${amountOf(plan, move.cost_after)}</td>
      <td class="right">${before(move.latency_before?.p95_ms)}</td><td class="right">${move.latency_after ? after(move.latency_after.p95_ms) : t("cost.unknown")}</td>
      <td>${word("basis", move.basis)}</td></tr>`)}<//>`;
}
