// The shadow comparison that runs: by task how often the other profile agrees, and what it costs. It must not know which screen it is on.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { useData } from "../data.js";
import { milliseconds, money, number, percent } from "../format.js";
import { t } from "../i18n.js";
import { mayReadAll, mayWrite } from "../live.js";
import { Button, Card, Code, Failure, Table } from "./basics.js";

const EVERY_MS = 5_000;

// Nothing while none runs: it is then asked for once a revision.
export function ShadowCard({ state }) {
  const [runs, setRuns] = useState(false);
  const { data, reload } = useData(mayReadAll(state) ? "shadows?limit=1" : null, { every: runs ? EVERY_MS : 0 });
  const running = data?.running ?? null;
  if (runs !== (running !== null)) setRuns(running !== null);
  if (running === null) return null;
  return html`<${Card} title=${t("shadow.title")} data-shadow=${running.id}>
    <p class="intro">${t("shadow.answers", { profile: running.profile, share: percent(running.share / 100) })}</p>
    <p class="note">${t("shadow.spent", { spent: money(running.spent_usd), budget: money(running.budget_usd) })}</p>
    <${Found} findings=${running.findings} />
    ${mayWrite(state) && html`<${Stop} key=${running.id} shadow=${running} done=${reload} />`}<//>`;
}

function Found({ findings }) {
  const right = (name) => ({ text: t(`shadow.${name}`), right: true });
  return html`<${Table} label=${t("shadow.title")} head=${[t("word.task"), right("answered"), right("agreed"), right("cost"), right("p95")]}>
    ${findings.map((one) => html`<tr key=${one.task}><th scope="row">${one.task ? html`<${Code} of=${one.task} />` : t("shadow.all")}</th>
      <td class="right">${number(one.answered)} <small class="note">${t("shadow.of", { count: number(one.sampled) })}</small></td>
      <td class="right"><${Within} of=${one.agreement} /></td><td class="right"><${Within} of=${one.cost_ratio} /></td>
      <td class="right">${milliseconds(one.latency.client.p95)} / ${milliseconds(one.latency.other.p95)}</td></tr>`)}<//>`;
}

function Within({ of }) {
  return html`${percent(of.value)} ${of.low !== null && html`<small class="note">[${percent(of.low)}, ${percent(of.high)}]</small>`}`;
}

// What is pressed is asked once more.
function Stop({ shadow, done }) {
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState(null);
  const stop = async () => {
    setAsked(false);
    setError(null);
    try {
      await ask(`shadows/${shadow.id}/stop`, { method: "POST", body: {} });
    } catch (refused) {
      setError(refused);
    }
    done();
  };
  return html`${error && html`<${Failure} error=${error} />`}<div class="hero-actions">${asked
    ? html`<span>${t("shadow.sure")}</span> <${Button} kind="main" onClick=${stop}>${t("shadow.stop")}<//> <${Button} onClick=${() => setAsked(false)}>${t("act.cancel")}<//>`
    : html`<${Button} onClick=${() => setAsked(true)}>${t("shadow.stop")}<//>`}</div>`;
}
