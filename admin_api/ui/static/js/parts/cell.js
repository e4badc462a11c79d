// One cell of the matrix in a dialog: who answers, what the newest probe found, and to ask again. It must not know the table.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { dateTime, milliseconds, money } from "../format.js";
import { t, word } from "../i18n.js";
import { Ago, Badge, Button, Code, Failure, Problems } from "./basics.js";
import { closing, Dialog } from "./dialog.js";

export const ELSEWHERE = { outside: "bad", partly: "warn" }; // how a group stands to the places where the profile keeps data
export const TONES = { green: "good", red: "bad", not_loaded: "plain", too_old: "warn", unknown: "plain" };

export function CellDialog({ profile, task, group, cell, problems, may, onProven, onClose }) {
  const [run, setRun] = useState({ busy: false, error: null });

  async function prove() {
    setRun({ busy: true, error: null });
    try {
      await ask(`proof/validate?${new URLSearchParams({ live: true, profile, task })}`, { method: "POST" });
      setRun({ busy: false, error: null });
    } catch (error) {
      setRun({ busy: false, error });
    }
    onProven();
  }

  const actions = (leave) => html`${may && html`<${Button} busy=${run.busy} onClick=${prove}>${t("cell.ask")}<//>`}${closing("act.close")(leave)}`;
  return html`<${Dialog} title=${t("edit.title", { profile, task })} onClose=${onClose} actions=${actions}>
    ${run.error && html`<${Failure} error=${run.error} />`}
    <dl class="facts wide">
      <div><dt>${t("word.group")}</dt><dd><${Code} of=${group} /></dd></div>
      <div><dt>${t("word.state")}</dt><dd>${cell ? html`<${Badge} tone=${TONES[cell.state] ?? "plain"}>${word("cell", cell.state)}<//>` : "\u2013"}</dd></div>
      ${cell?.why && html`<div><dt>${t("decisions.why")}</dt><dd>${word("probe", cell.why)}</dd></div>`}
      ${cell?.checked_at && html`<div><dt>${t("cell.when")}</dt><dd><${Ago} at=${cell.checked_at} /><small>${dateTime(cell.checked_at)}</small></dd></div>
        <div><dt>${t("explain.latency")}</dt><dd>${milliseconds(cell.latency_ms)}</dd></div><div><dt>${t("cost.cost")}</dt><dd>${money(cell.cost_usd)}</dd></div>`}
    </dl>
    ${cell?.residency && html`<p><${Badge} tone=${ELSEWHERE[cell.residency]}>${word("residency", cell.residency)}<//> ${t("cell.residency")}</p>`}
    <${Problems} problems=${problems} />
    <p class="note">${t(cell?.checked_at ? "cell.note" : "cell.never")}</p><//>`;
}
