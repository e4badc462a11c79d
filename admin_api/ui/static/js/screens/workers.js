// Every worker process: what it serves, when it was last heard of, and what it says of itself.

import { html } from "../dom.js";
import { useData } from "../data.js";
import { number, timesLike } from "../format.js";
import { known, label, t, word } from "../i18n.js";
import { fresh } from "../live.js";
import { Ago, Badge, Card, Figure, Figures, Loaded, Page, Said, Table } from "../parts/basics.js";

const EVERY_MS = 2_000;

export function Workers({ state }) {
  const found = useData("workers", { every: EVERY_MS });
  return html`<${Page} title=${t("nav.workers")} intro=${t("workers.intro")} />
    <${Loaded} of=${found} rows=${5}>${(data) => {
      const took = tookOf(data.revision, state.status.committed_at);
      const after = timesLike(data.workers.map(took));
      return html`
      <${Summary} data=${data} status=${state.status} certain=${fresh(state)} />
      <${Card} title=${t("workers.all")}>
        <${Table} label=${t("workers.all")} head=${[t("word.worker"), t("word.state"), { text: t("now.revision"), right: true }, { text: t("receipt.after"), right: true },
          t("workers.heartbeat"), t("workers.started"), { text: t("workers.drifts"), right: true }, { text: t("workers.failures"), right: true }, t("workers.wake"), t("workers.version")]}>
          ${byPlace(data.workers).map((worker) => html`<${Row} key=${worker.instance} worker=${worker} revision=${data.revision} took=${took} after=${after} certain=${fresh(state)} />`)}
        <//>
      <//>
      <${HostFacts} host=${state.status.host} />`;
    }}<//>`;
}

// Milliseconds from the commit until a worker served it; null where it does not, or began later.
const tookOf = (revision, committed) => (worker) =>
  worker.revision === revision && worker.applied_at && committed && worker.started_at <= committed ? (worker.applied_at - committed) * 1000 : null;

const byPlace = (workers) =>
  [...workers].sort((a, b) => b.live - a.live || a.host.localeCompare(b.host) || a.pid - b.pid);

function Summary({ data, status, certain }) {
  const live = data.workers.filter((worker) => worker.live);
  const late = live.filter((worker) => worker.revision !== data.revision);
  return html`<${Figures}>
    <${Figure} label=${t("workers.live")} value=${number(live.length)} note=${t("workers.hosts", { count: new Set(live.map(({ host }) => host)).size })} />
    <${Figure} label=${t("now.revision")} value=${number(data.revision)} />
    <${Figure} label=${t("workers.converged")} value=${certain ? t(data.converged ? "word.yes" : "word.no") : "\u2013"} tone=${!certain ? undefined : data.converged ? "good" : "warn"} note=${late.length ? t("workers.late", { count: late.length }) : null} />
    <${Figure} label=${t("workers.drifts")} value=${number(sum(live, "drifts"))} note=${t("workers.drifts.note")} />
    <${Figure} label=${t("workers.store_failures")} value=${number(sum(live, "store_failures"))} tone=${sum(live, "store_failures") ? "warn" : undefined} note=${t("workers.store.note", { wake: status.host?.wake ?? "\u2013" })} />
  <//>`;
}

const sum = (workers, name) => workers.reduce((total, { report }) => total + (Number(report[name]) || 0), 0);

function Row({ worker, revision, took, after, certain }) {
  const late = worker.live && worker.revision !== revision;
  const tone = !worker.live ? "plain" : late ? "warn" : certain ? "good" : "plain";
  const failures = (Number(worker.report.failures) || 0) + (Number(worker.report.loop_failures) || 0);
  return html`<tr class=${worker.live ? undefined : "gone"}>
    <th scope="row">${worker.host} \u00b7 ${worker.pid}</th>
    <td><${Badge} tone=${tone}>${t(!worker.live ? "workers.gone" : late ? "workers.behind" : certain ? "workers.current" : "workers.then")}<//> <${Said}>${worker.detail}<//></td>
    <td class="right">${worker.revision}</td>
    <td class="right">${after(took(worker))}</td>
    <td><${Ago} at=${worker.heartbeat_at} /></td>
    <td><${Ago} at=${worker.started_at} /></td>
    <td class="right">${number(worker.report.drifts)}</td>
    <td class="right">${number(failures)}</td>
    <td>${String(worker.report.wake ?? "\u2013")}</td>
    <td>${worker.version}</td></tr>`;
}

// What the worker that answered says of the place it runs in; only plain values.
function HostFacts({ host }) {
  if (!host) return null;
  const plain = Object.entries(host).filter(([name, value]) => known("host", name) && ["string", "number"].includes(typeof value));
  return html`<${Card} title=${t("workers.host")} note=${t("workers.host.note")}><dl class="facts wide">${plain.map(([name, value]) => html`
    <div key=${name}><dt>${word("host", name)}</dt><dd>${label("host_value", value)}</dd></div>`)}</dl><//>`;
}
