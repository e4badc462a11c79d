// What the recorded requests would have cost under every profile.

import { html, useEffect, useState } from "../dom.js";
import { ask } from "../api.js";
import { RETRY_MS } from "../data.js";
import { duration, number } from "../format.js";
import { t } from "../i18n.js";
import { useLive } from "../live.js";
import { Badge, Button, Card, Table } from "../parts/basics.js";
import { amountOf, Delta, Findings, Moves, tellsDays } from "../parts/forecast.js";
import { ordered } from "../vocabulary.js";

const ASSUMPTIONS = ["assumed.again", "assumed.tokens", "assumed.tier", "assumed.failures"];

export function Compare({ profiles, active }) {
  const names = ordered(profiles).map(({ name }) => name);
  const plans = usePlans(names, active);
  const [open, setOpen] = useState(null);
  const detail = plans[open]?.plan;
  const some = Object.values(plans).find(({ plan }) => plan?.requests)?.plan;
  const daily = !some || tellsDays(some);
  const head = [t("word.profile"), { text: t(daily ? "cost.per_day" : "cost.cost"), right: true }, { text: t("cost.versus_active"), right: true }, t("cost.findings"), { text: t("cost.moves"), right: true }];
  return html`<${Card} title=${t("cost.compare")} note=${t("cost.compare.note")}>
    <${Table} label=${t("cost.compare")} head=${head}>${names.map((name) => {
      const { plan, error } = plans[name] ?? {};
      return html`<tr key=${name}><th scope="row">${name} ${name === active && html`<${Badge} tone="accent">${t("now.is_active")}<//>`}</th>
        <td class="right">${plan ? (plan.requests ? amountOf(plan, plan.cost_after) : t("cost.unknown")) : error ? t("cost.unknown") : "\u2026"}</td>
        <td class="right">${plan && html`<${Delta} before=${plan.cost_before.usd} after=${plan.cost_after.usd} />`}</td>
        <td>${plan && (plan.findings.length ? html`<${Badge} tone="warn">${plan.findings.length}<//>` : t("cost.findings.none"))}</td>
        <td class="right">${plan && plan.moves.length > 0 && html`<${Button} aria-expanded=${open === name} aria-label=${t("cost.details_of", { profile: name })} onClick=${() => setOpen(open === name ? null : name)}>${t("cost.details")}<//>`}</td></tr>`;
    })}<//>
    ${some && html`<p class="note">${t("cost.basis", { requests: number(some.followed), span: duration(some.days) })}${!daily && ` ${t("cost.short")}`}</p>`}
    ${detail && html`<h3>${open}</h3><${Findings} findings=${detail.findings} /><${Moves} plan=${detail} />
      <ul class="problems note">${ASSUMPTIONS.map((key) => html`<li>${t(key)}</li>`)}</ul>`}<//>`;
}

// One after the other: each replays the record, and the proxy limits how many a caller may ask for at once.
function usePlans(names, active) {
  const [plans, setPlans] = useState({});
  const { ended } = useLive();
  const id = names.join();
  useEffect(() => {
    if (ended) return undefined;
    const abort = new AbortController();
    (async () => {
      const left = [...names];
      while (left.length && !abort.signal.aborted) {
        const [profile] = left;
        try {
          const { data: plan } = await ask("plan", { method: "POST", reads: true, body: { profile }, signal: abort.signal });
          setPlans((old) => ({ ...old, [profile]: { plan } }));
        } catch (error) {
          if (error.name === "AbortError") return;
          if (error.passing) {
            await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
            continue;
          }
          setPlans((old) => ({ ...old, [profile]: { error } }));
        }
        left.shift();
      }
    })();
    return () => abort.abort();
  }, [id, active, ended]);
  return plans;
}
