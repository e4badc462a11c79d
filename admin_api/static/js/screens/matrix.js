// Every profile and every task in one table: who answers, and what is wrong with it.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { t } from "../i18n.js";
import { mayReadAll } from "../live.js";
import { Badge, Button, Card, Failure, Page, Problems, Table } from "../parts/basics.js";
import { ordered } from "./now.js";

export function Matrix({ state }) {
  const profiles = ordered(state.profiles);
  const tasks = [...new Set(profiles.flatMap((profile) => Object.keys(profile.tasks)))];
  const [check, setCheck] = useState({ busy: false, found: null, error: null });

  async function run() {
    setCheck({ busy: true, found: null, error: null });
    try {
      const { data } = await ask("profiles/validate", { method: "POST" });
      setCheck({ busy: false, found: data, error: null });
    } catch (error) {
      setCheck({ busy: false, found: null, error });
    }
  }

  const tools = mayReadAll(state) && html`<${Button} kind="main" busy=${check.busy} onClick=${run}>${t("matrix.check")}<//>`;
  return html`<${Page} title=${t("matrix.title")} intro=${t("matrix.intro")} tools=${tools} />
    ${check.error && html`<${Failure} error=${check.error} />`}
    ${check.found && html`<div class=${`notice ${check.found.valid ? "good" : "bad"}`} role="status">
      <strong>${t(check.found.valid ? "matrix.valid" : "matrix.invalid")}</strong><${Problems} problems=${check.found.problems} /></div>`}
    <${Card}>
      <${Table} label=${t("matrix.title")} head=${[t("word.task"), ...profiles.map(({ name }) => name)]}>
        ${tasks.map((task) => html`<tr key=${task}><th scope="row">${task}</th>
          ${profiles.map((profile) => html`<${Cell} key=${profile.name} profile=${profile} task=${task} check=${check.found}
            active=${profile.name === state.status.active_profile} />`)}</tr>`)}
      <//>
      <p class="note">${t("matrix.live.absent")}</p>
    <//>`;
}

function Cell({ profile, task, check, active }) {
  const wrong = check?.problems.filter(({ file, path }) => file.startsWith(`${profile.name}.`) && path === `tasks.${task}`) ?? [];
  const group = profile.tasks[task];
  return html`<td class=${active ? "column-active" : undefined}>${group ? html`<code>${group}</code>` : "\u2013"}
    ${wrong.length > 0 && html` <${Badge} tone="bad">${wrong[0].message}<//>`}</td>`;
}
