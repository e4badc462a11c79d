// The newest requests as they come: who asked for what, where it went, why, how fast and at what cost. No text of theirs.

import { html, useState } from "../dom.js";
import { narrow } from "../address.js";
import { useData } from "../data.js";
import { clockToTheSecond, dateTime, money, timesLike } from "../format.js";
import { t, word } from "../i18n.js";
import { Badge, Button, Card, Code, Empty, Loaded, Name, Table } from "../parts/basics.js";

const EVERY_MS = 2_000;
const SHOWN = 15;
const GOOD_ENDS = ["answered", "cached", "cancelled"];

export function Decisions({ all }) {
  const [paused, setPaused] = useState(false);
  const found = useData(`requests?limit=${SHOWN}`, { every: paused ? 0 : EVERY_MS });
  const tools = html`<span class="grow"></span><${Button} onClick=${() => setPaused(!paused)}>${t(paused ? "decisions.go_on" : "decisions.pause")}<//>`;
  return html`<${Card} title=${t("decisions.title")} note=${t(all ? "decisions.note" : "decisions.note_team")} tools=${tools}>
    <${Loaded} of=${found} rows=${4} absent=${t("cost.absent")}>${({ requests }) => (requests.length ? html`<${Listed} requests=${requests} />`
      : html`<${Empty} title=${t("cost.none")}>${t("cost.none.fix")}<//>`)}<//><//>`;
}

function Listed({ requests }) {
  const head = [t("curve.time"), t("decisions.caller"), t("decisions.asked"), t("word.task"), t("word.tier"), t("word.group"), t("decisions.why"),
    { text: t("explain.latency"), right: true }, { text: t("cost.cost"), right: true }, { text: t("decisions.explain"), right: true }];
  const latency = timesLike(requests.map((one) => one.latency_ms));
  return html`<${Table} label=${t("decisions.title")} head=${head}>${requests.map((one) => html`<tr key=${one.call_id + one.ended_at}>
    <th scope="row"><time title=${dateTime(one.ended_at)}>${clockToTheSecond(one.ended_at)}</time></th>
    <td>${one.caller ? html`<${Name} of=${one.caller} />` : "\u2013"}${one.team && html` <small><${Name} of=${one.team} /></small>`}</td>
    <td>${one.asked ? html`<${Code} of=${one.asked} />` : "\u2013"}</td>
    <td>${one.task ? html`<${Code} of=${one.task} />` : "\u2013"}</td><td>${one.tier ? word("tier", one.tier) : "\u2013"}</td>
    <td><${Code} of=${one.served_group || one.chosen_group} />${one.fallback && html` <${Badge} tone="warn">${t("cost.fallback")}<//>`}</td>
    <td>${(one.steps.length ? one.steps : [one.reason]).map((step) => word("step", step)).join(", ")}</td>
    <td class="right">${GOOD_ENDS.includes(one.outcome) ? latency(one.latency_ms) : html`<${Badge} tone="bad">${word("outcome", one.outcome)}<//>`}</td>
    <td class="right">${money(one.cost_usd)}</td>
    <td class="right"><${Button} aria-label=${t("decisions.explain_of", { time: clockToTheSecond(one.ended_at) })} onClick=${() => narrow({ call: one.call_id })}>${t("decisions.explain")}<//></td></tr>`)}<//>`;
}
