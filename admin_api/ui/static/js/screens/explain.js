// One request by its call id: what was decided, why, and what it would have cost under every profile.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { dateTime, milliseconds, number } from "../format.js";
import { t, word } from "../i18n.js";
import { Badge, Card, Code, Failure, Field, Name, Table } from "../parts/basics.js";
import { price } from "../parts/forecast.js";

export function Explain() {
  const [callId, setCallId] = useState("");
  const [found, setFound] = useState(null); // {data} | {error}

  async function look(event) {
    event.preventDefault();
    try {
      setFound(await ask(`requests/${encodeURIComponent(callId.trim())}/explain`));
    } catch (error) {
      setFound({ error });
    }
  }

  return html`<${Card} title=${t("explain.title")} note=${t("explain.note")}>
    <form class="filters" onSubmit=${look}><${Field} label=${t("explain.id")}><input value=${callId} maxlength="200" autocomplete="off" spellcheck=${false} onInput=${(event) => setCallId(event.target.value)} /><//>
      <button class="button main" disabled=${!callId.trim()}>${t("explain.look")}</button></form>
    <div role="status">${found?.data && html`<${Told} data=${found.data} />`}</div>
    ${found?.error && html`<${Failure} error=${found.error} />`}<//>`;
}

function Told({ data }) {
  const words = [data.reason, ...data.steps];
  return html`<div class="chart">
    <dl class="facts wide">
      <div><dt>${t("word.profile")}</dt><dd>${data.profile ?? "\u2013"} ${data.revision !== null && html`<small>${t("now.revision")} ${data.revision}</small>`}</dd></div>
      <div><dt>${t("word.task")}</dt><dd>${data.task ?? "\u2013"}</dd></div>
      <div><dt>${t("word.group")}</dt><dd><code>${data.served_group}</code>${data.fallback && html` <${Badge} tone="warn">${t("cost.fallback")}<//>`}</dd></div>
      <div><dt>${t("cost.cost")}</dt><dd>${price(data.cost_usd)}</dd></div>
      <div><dt>${t("explain.latency")}</dt><dd>${milliseconds(data.latency_ms)}</dd></div>
      <div><dt>${t("cost.tokens")}</dt><dd>${number(data.prompt_tokens)} + ${number(data.completion_tokens)}</dd></div>
      <div><dt>${t("explain.ended")}</dt><dd>${dateTime(data.ended_at)}</dd></div>
      <div><dt>${t("explain.outcome")}</dt><dd>${word("outcome", data.outcome)}</dd></div>
    </dl>
    <p class="badges">${words.map((each) => html`<${Badge}>${word("step", each)}<//>`)}</p>
    <${Table} label=${t("explain.elsewhere")} head=${[t("explain.elsewhere"), t("word.group"), { text: t("cost.cost"), right: true }, t("cost.rests_on")]}>
      ${data.alternatives.map((each) => html`<tr key=${each.profile}><th scope="row"><${Name} of=${each.profile} /></th><td><${Code} of=${each.group} /></td>
        <td class="right">${price(each.cost_usd)}</td><td>${word("basis", each.basis)}</td></tr>`)}<//></div>`;
}
