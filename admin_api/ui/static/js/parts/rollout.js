// The rollout that runs: both arms side by side, what comes next, and what a person may do. It must not know which screen it is on.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { useData } from "../data.js";
import { milliseconds, money, number, percent } from "../format.js";
import { t, word } from "../i18n.js";
import { mayReadAll, mayWrite } from "../live.js";
import { now } from "../time.js";
import { Ago, Badge, Button, Card, Code, Failure, Said, Table } from "./basics.js";

const EVERY_MS = 2_000;
const DAY = 86_400;
const TONES = { good: "good", unsure: "warn", no_data: "plain", breached: "bad" };
const ACTS = { running: ["pause", "promote", "abort"], paused: ["resume", "promote", "abort"], asking: ["promote", "abort"] };
const SHOWN = { latency_p95_ms: milliseconds, first_token_p95_ms: milliseconds, cost_usd: money };
const shownAs = (metric) => SHOWN[metric] ?? percent;

// While no rollout runs, it is asked for once a revision.
export function RolloutCard({ state }) {
  const [runs, setRuns] = useState(false);
  const { data, reload } = useData(mayReadAll(state) ? "rollouts?limit=1" : null, { every: runs ? EVERY_MS : 0 });
  const running = data?.running ?? null;
  if (runs !== (running !== null)) setRuns(running !== null);
  if (running === null) return html`<${Ended} newest=${data?.rollouts[0]} />`;
  return html`<${Card} title=${t("rollout.title")} data-rollout=${running.id} tools=${html`<${Badge} tone=${running.phase === "running" ? "good" : "warn"}>${word("rollout_phase", running.phase)}<//>`}>
    <p class="intro">${t("rollout.tries", { profile: running.profile, control: running.control, share: percent(running.share / 100) })}</p>
    <${Edited} edit=${running.edit} />
    <p class="note">${t("rollout.held", { held: number(running.held), hold: number(running.hold) })} <${Said} instead=${t("rollout.next")}>${running.why}<//></p>
    <${Findings} findings=${running.findings} />
    ${mayWrite(state) && html`<${Acts} key=${running.id} rollout=${running} done=${reload} />`}<//>`;
}

// How the last one ended, for a day: by whom, and the figures of both arms.
function Ended({ newest }) {
  const shown = newest?.ended_at > now() / 1000 - DAY;
  const { data } = useData(shown ? `rollouts/${newest.id}/history` : null);
  const end = shown && data?.events[0];
  if (!end) return null;
  return html`<${Card} title=${t("rollout.last")} data-ended=${newest.id} tools=${html`<${Badge}>${word("rollout_phase", newest.phase)}<//>`}>
    <p class="intro">${t("rollout.tried", { profile: newest.profile, control: newest.control })}</p>
    <p class="note">${end.actor} \u00b7 <${Ago} at=${end.at} />${end.why && html` \u00b7 <${Said} instead=${word("rollout_phase", newest.phase)}>${end.why}<//>`}</p>
    <${Findings} findings=${end.evidence} /><//>`;
}

// What an edit of the active profile changes, in the words of its file.
function Edited({ edit }) {
  if (!edit) return null;
  const ladders = Object.entries(edit.tiers).map(([tier, groups]) => [`tiers.${tier}`, groups.join(", ")]);
  return html`<p class="note">${[...Object.entries(edit.tasks), ...ladders].map(([place, group], at) => html`${at > 0 && "; "}<${Code} of=${place} /> \u2192 <${Code} of=${group} />`)}</p>`;
}

function Findings({ findings }) {
  if (!findings.length) return null;
  const right = (name) => ({ text: t(`rollout.${name}`), right: true });
  return html`<${Table} label=${t("rollout.arms")} head=${[t("rollout.guard"), t("word.task"), right("bound"), right("control"), right("canary"), t("rollout.verdict")]}>
    ${findings.map((one) => html`<tr key=${one.metric + one.task + one.limit}><th scope="row">${word("rollout_metric", one.metric)}</th>
      <td>${one.task ? html`<${Code} of=${one.task} />` : t("rollout.all")}</td><td class="right">${word("rollout_limit", one.limit)} ${one.limit === "times" ? number(one.bound, 2) : shownAs(one.metric)(one.bound)}</td>
      <td class="right"><${Arm} metric=${one.metric} figure=${one.control} /></td><td class="right"><${Arm} metric=${one.metric} figure=${one.canary} /></td>
      <td><${Badge} tone=${TONES[one.verdict]}>${word("rollout_verdict", one.verdict)}<//></td></tr>`)}<//>`;
}

function Arm({ metric, figure }) {
  const shown = shownAs(metric);
  return html`${shown(figure.value)} <small class="note">${t("rollout.samples", { count: number(figure.samples) })}</small>`;
}

// What is pressed is asked once more: each of them counts for everybody.
function Acts({ rollout, done }) {
  const [asked, setAsked] = useState(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const act = async () => {
    setBusy(true);
    setError(null);
    try {
      await ask(`rollouts/${rollout.id}/${asked}`, { method: "POST", body: {} });
      setAsked(null);
    } catch (refused) {
      setError(refused);
    }
    setBusy(false);
    done();
  };
  const possible = ACTS[rollout.phase] ?? [];
  return html`${error && html`<${Failure} error=${error} />`}<div class="hero-actions">${asked && possible.includes(asked)
    ? html`<span>${t(`rollout.sure.${asked}`)}</span> <${Button} kind="main" busy=${busy} onClick=${act}>${t(`rollout.${asked}`)}<//> <${Button} onClick=${() => setAsked(null)}>${t("act.cancel")}<//>`
    : possible.map((name) => html`<${Button} key=${name} onClick=${() => setAsked(name)}>${t(`rollout.${name}`)}<//> `)}</div>`;
}
