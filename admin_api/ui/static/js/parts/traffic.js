// The last quarter of an hour at a glance: how much, how fast, how well, at what cost, on which tier.

import { html } from "../dom.js";
import { useData } from "../data.js";
import { milliseconds, money, number, percent } from "../format.js";
import { t, word } from "../i18n.js";
import { usePeriod } from "../period.js";
import { TIERS } from "../vocabulary.js";
import { Figure, Figures } from "./basics.js";
import { Spark, Split } from "./chart.js";

const EVERY_MS = 5_000;
const MANY_ERRORS = 0.05;
const HOUR = 3_600;

export function Traffic({ all }) {
  const { query } = usePeriod("15m");
  const found = useData(`usage/series?${query}`, { name: "traffic", every: EVERY_MS });
  if (found.data === null) return found.error ? null : html`<div class="bone tall"></div>`;
  const { total, curves, tiers, from, to } = found.data;
  const seconds = Math.max(1, Math.min(to, found.at / 1000) - from);
  const share = TIERS.map((tier) => ({ name: word("tier", tier), value: (tiers[tier]?.requests ?? []).reduce((sum, count) => sum + count, 0) }));
  // Without the minute that is still running, which would always look like a fall.
  const spark = (label, ...lines) => total.requests > 0 && html`<${Spark} label=${label} lines=${lines.map((line) => line.slice(0, -1))} />`;
  const hour = total.cost_usd === null ? (total.unpriced ? t("cost.unpriced") : money(0)) : money((total.cost_usd / seconds) * HOUR);
  return html`<section aria-label=${t("traffic.title")}><p class="note">${t(all ? "traffic.title" : "traffic.title_team")}</p>
    <${Figures}>
      <${Figure} label=${t("traffic.rate")} value=${t("traffic.per_second", { count: number(total.requests / seconds, 2) })} note=${t("traffic.count", { count: number(total.requests) })}>${spark(t("charts.requests"), curves.requests)}<//>
      <${Figure} label=${t("traffic.latency")} value=${milliseconds(total.latency_p95_ms)} note=${t("cost.p50", { p50: milliseconds(total.latency_p50_ms) })}>${spark(t("charts.latency"), curves.latency_p95_ms, curves.latency_p50_ms)}<//>
      <${Figure} label=${t("cost.errors")} value=${percent(total.error_rate)} tone=${total.error_rate > MANY_ERRORS ? "bad" : undefined} note=${t("cost.fallbacks", { share: percent(total.fallback_rate) })}>${spark(t("charts.errors"), curves.errors)}<//>
      <${Figure} label=${t("traffic.cost")} value=${hour} note=${total.unpriced > 0 ? t("cost.unpriced.count", { count: number(total.unpriced) }) : t("traffic.at_this_rate")}>${spark(t("charts.cost"), curves.cost_usd)}<//>
      <${Figure} label=${t("traffic.tiers")} value=${html`<${Split} label=${t("traffic.tiers")} parts=${share} />`} />
    <//></section>`;
}
