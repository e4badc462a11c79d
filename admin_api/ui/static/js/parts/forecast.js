// A forecast as the dialog of a switch and the comparison of profiles show it. It must not know who asked for it.

import { html } from "../dom.js";
import { duration, milliseconds, money, number, percent } from "../format.js";
import { t, word } from "../i18n.js";
import { Badge, Code, Name, Said, Table } from "./basics.js";

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

export function ForecastSummary({ plan }) {
  if (!plan.requests) return html`<p class="note">${t("change.forecast.unknown")}</p>`;
  const { cost_before: before, cost_after: after } = plan;
  return html`<div class="forecast">
    <p><span class="amount">${price(after.usd_per_day)}</span> ${after.usd !== null && t("change.per_day")} <${Delta} before=${before.usd} after=${after.usd} />
      ${after.high > after.low && html` <span class="note">${t("cost.range", { low: money(after.low / plan.days), high: money(after.high / plan.days) })}</span>`}</p>
    <p class="note">${t("cost.basis", { requests: number(plan.followed), span: duration(plan.days) })}
      ${after.unpriced > 0 && ` ${t("cost.unpriced.count", { count: number(after.unpriced) })}`}</p>
    ${plan.caches.cached_tokens > 0 && html`<p class="note">${t("cost.caches", { share: percent(plan.caches.share) })}
      ${plan.caches.usd_per_day !== null && ` ${t("cost.caches.worth", { usd: money(plan.caches.usd_per_day) })}`}</p>`}
    <${Findings} findings=${plan.findings} /></div>`;
}

export function Findings({ findings }) {
  if (!findings.length) return null;
  return html`<ul class="problems">${findings.map((finding) => html`<li><${Badge} tone="warn">${word("violation", finding.kind)}<//> ${finding.task} \u2192 <${Code} of=${finding.group} /> <span class="note"><${Said}>${finding.detail}<//></span></li>`)}</ul>`;
}

export function Moves({ plan }) {
  return html`<${Table} label=${t("cost.moves")} head=${[t("word.task"), t("change.before"), t("change.after"), ...["requests", "cost_before", "cost_after", "p95_before", "p95_after"].map((name) => ({ text: t(`cost.${name}`), right: true })), t("cost.rests_on")]}>
    ${plan.moves.map((move) => html`<tr key=${move.task + move.before + move.after}><th scope="row"><${Name} of=${move.task || t("cost.no_name")} /></th>
      <td><${Code} of=${move.before} /></td><td>${move.after === move.before ? html`<span class="note">${t("cost.stays")}</span>` : html`<${Code} of=${move.after} />`}</td>
      <td class="right">${number(move.requests)}</td><td class="right">${price(move.cost_before.usd_per_day)}</td><td class="right">${price(move.cost_after.usd_per_day)}</td>
      <td class="right">${milliseconds(move.latency_before?.p95_ms)}</td><td class="right">${move.latency_after ? milliseconds(move.latency_after.p95_ms) : t("cost.unknown")}</td>
      <td>${word("basis", move.basis)}</td></tr>`)}<//>`;
}
