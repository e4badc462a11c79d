// One request: what was decided, why, and what it would have cost under every profile. It must not know who asked for it.

import { html } from "../dom.js";
import { narrow, useAddress } from "../address.js";
import { useData } from "../data.js";
import { dateTime, milliseconds, number } from "../format.js";
import { t, word } from "../i18n.js";
import { Badge, Code, Loaded, Name, Table } from "./basics.js";
import { closing, Dialog } from "./dialog.js";
import { price } from "./forecast.js";

// The request that the address names, in a dialog.
export function ToldDialog() {
  const { asked } = useAddress();
  return asked.call ? html`<${Shown} key=${asked.call} call=${asked.call} />` : null;
}

function Shown({ call }) {
  const found = useData(`requests/${encodeURIComponent(call)}/explain`);
  const close = () => narrow({ call: "" });
  return html`<${Dialog} title=${t("explain.title")} onClose=${close} actions=${closing("act.close")}>
    <p class="note"><${Code} of=${call} /></p>
    <${Loaded} of=${found} rows=${5}>${(data) => html`<${Told} data=${data} />`}<//><//>`;
}

export function Told({ data }) {
  const words = [data.reason, ...data.steps];
  return html`<div class="chart">
    <dl class="facts wide">
      <div><dt>${t("word.profile")}</dt><dd>${data.profile ?? "\u2013"} ${data.revision !== null && html`<small>${t("now.revision")} ${data.revision}</small>`}</dd></div>
      <div><dt>${t("word.task")}</dt><dd>${data.task ? html`<${Code} of=${data.task} />` : "\u2013"}</dd></div>
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
