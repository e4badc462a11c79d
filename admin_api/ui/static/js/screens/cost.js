// What requests cost and how they went, by profile, task, team or group; and what another profile would cost.

import { html, useState } from "../dom.js";
import { askFile } from "../api.js";
import { useData } from "../data.js";
import { compact, milliseconds, money, number, percent, timesLike } from "../format.js";
import { t, word } from "../i18n.js";
import { mayReadAll } from "../live.js";
import { Button, Card, Empty, Failure, Figure, Figures, Loaded, Name, Page, Segments, Table } from "../parts/basics.js";
import { Curve } from "../parts/curve.js";
import { cost, Delta } from "../parts/forecast.js";
import { costLines } from "../parts/lines.js";
import { PeriodChoice } from "../parts/period.js";
import { useAskedPeriod, usePeriod } from "../period.js";
import { Compare } from "./compare.js";
import { Explain } from "./explain.js";

const GROUPINGS = ["profile", "task", "served_group", "tier", "team"];
const EVERY_MS = 10_000;
const TIMES = ["latency_p50_ms", "latency_p95_ms", "first_token_p50_ms"];
const WORDS = { served_group: "group" };

export function Cost({ state }) {
  const [by, setBy] = useState("profile");
  const [name, setName] = useAskedPeriod("24h");
  const { query } = usePeriod(name);
  const file = useDownload(`usage-by-${by}.csv`, `usage?by=${by}&${query}&format=csv`);
  const usage = useData(`usage?by=${by}&${query}`, { name: `${by} ${name}`, every: EVERY_MS });
  const series = useData(`usage/series?${query}`, { name, every: EVERY_MS });
  const tools = html`<${PeriodChoice} value=${name} onChange=${setName} />`;
  return html`<${Page} title=${t("nav.cost")} intro=${t("cost.intro")} tools=${tools} />
    <${Loaded} of=${usage} rows=${7} absent=${t("cost.absent")}>${(data) => html`
      <${Total} now=${data.total} before=${data.total_before} />
      ${data.total.cost_usd > 0 && html`<${Card} title=${t("charts.cost")}><${Loaded} of=${series} rows=${5}>${(steps) => html`<${Curve} label=${t("charts.cost")} over=${steps} lines=${costLines(steps)} show=${money} stacked />`}<//><//>`}
      <${Card} title=${t("cost.by_name", { name: t(`word.${WORDS[by] ?? by}`) })} tools=${html`<span class="grow"></span><${Button} busy=${file.busy} onClick=${file.load}>CSV<//>`}>
        ${file.error && html`<${Failure} error=${file.error} />`}
        <${Segments} label=${t("cost.by")} value=${by} onChange=${setBy} options=${GROUPINGS.map((each) => [each, t(`word.${WORDS[each] ?? each}`)])} />
        ${data.lines.length ? html`<${Lines} by=${by} lines=${data.lines} />` : html`<${Empty} title=${t("cost.none")}>${t("cost.none.fix")}<//>`}<//>`}<//>
    ${usage.data && mayReadAll(state) && html`<${Compare} profiles=${state.profiles} active=${state.status.active_profile} />`}
    ${usage.data && html`<${Explain} />`}`;
}

function Total({ now, before }) {
  return html`<${Figures}>
    <${Figure} label=${t("cost.cost")} value=${cost(now)} note=${html`<${Delta} before=${before.cost_usd} after=${now.cost_usd} /> ${now.unpriced > 0 && t("cost.unpriced.count", { count: number(now.unpriced) })}`} />
    <${Figure} label=${t("cost.requests")} value=${compact(now.requests)} note=${html`<${Delta} before=${before.requests} after=${now.requests} more="plain" less="plain" />`} />
    <${Figure} label=${t("cost.tokens")} value=${compact(now.prompt_tokens + now.completion_tokens)} note=${t("cost.tokens.note", { prompt: compact(now.prompt_tokens), completion: compact(now.completion_tokens) })} />
    <${Figure} label="p95" value=${milliseconds(now.latency_p95_ms)} note=${t("cost.p50", { p50: milliseconds(now.latency_p50_ms) })} />
    <${Figure} label=${t("cost.errors")} value=${percent(now.error_rate)} tone=${now.error_rate > 0.05 ? "warn" : undefined} note=${t("cost.fallbacks", { share: percent(now.fallback_rate) })} /><//>`;
}

function Lines({ by, lines }) {
  const head = [t(`word.${WORDS[by] ?? by}`), ...["requests", "cost", "versus", "p50_head", "p95_head", "first_token", "errors", by === "served_group" ? "stood_in" : "fallback"].map((name) => ({ text: t(`cost.${name}`), right: true }))];
  const times = Object.fromEntries(TIMES.map((name) => [name, timesLike(lines.map(({ figures }) => figures[name]))]));
  return html`<${Table} label=${t("cost.by_name", { name: t(`word.${WORDS[by] ?? by}`) })} head=${head}>${lines.map(({ names, figures, before }) => html`<tr key=${names[by]}>
    <th scope="row"><${Name} of=${title(by, names[by])} /></th>
    <td class="right">${number(figures.requests)}</td><td class="right">${cost(figures)}</td>
    <td class="right"><${Delta} before=${before?.cost_usd ?? null} after=${figures.cost_usd} /></td>
    ${TIMES.map((name) => html`<td class="right">${times[name](figures[name])}</td>`)}
    <td class="right">${percent(figures.error_rate)}</td><td class="right">${percent(figures.fallback_rate)}</td></tr>`)}<//>`;
}

const title = (by, name) => (name === "" ? t("cost.no_name") : by === "tier" ? word("tier", name) : String(name));

// Returns {busy, error, load}: what loads a table as a file of this name.
function useDownload(name, path) {
  const [state, setState] = useState({ busy: false, error: null });
  async function load() {
    setState({ busy: true, error: null });
    try {
      save(name, await askFile(path, "text/csv"));
      setState({ busy: false, error: null });
    } catch (error) {
      setState({ busy: false, error });
    }
  }
  return { ...state, load };
}

function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
