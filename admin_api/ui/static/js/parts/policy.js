// What follows the clock and rules: who decides now, what will be active, how the rules stand, and the end of what a person holds.
// It must not know which screen it is on.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { useData } from "../data.js";
import { clock, dateTime, weekday } from "../format.js";
import { t, word } from "../i18n.js";
import { mayReadAll, mayWrite } from "../live.js";
import { byRank } from "../vocabulary.js";
import { Ago, Badge, Button, Card, Code, Failure, Loaded, Name, Said, Table } from "./basics.js";
import { tonesOf } from "./lines.js";

const DAYS = 14;
const EVERY_MS = 10_000;
const FORESEEN_EVERY_MS = 600_000;

// While nothing is steered it says in one line how to begin, and is asked for once a revision.
export function PolicyCard({ state }) {
  const [steered, setSteered] = useState(false);
  const { data, etag, reload } = useData(mayReadAll(state) ? "policy" : null, { every: steered ? EVERY_MS : 0 });
  const foreseen = useData(steered ? `policy/preview?days=${DAYS}` : null, { every: FORESEEN_EVERY_MS });
  if (data === null) return null;
  const is = data.digest !== "" || data.now.hold !== null;
  if (steered !== is) setSteered(is);
  if (!is) return html`<${Card} title=${t("policy.title")}><p class="note">${t("policy.begin")} <code>${data.file}</code> (docs/policy.md)</p><//>`;
  return html`<${Card} title=${t("policy.title")} data-policy=${data.now.level} note=${html`<code>${data.file}</code>`}>
    <ol class="badges" aria-label=${t("policy.precedence")}>${data.precedence.map((level) => html`<li key=${level} aria-current=${level === data.now.level ? "true" : undefined}>
      <${Badge} tone=${level === data.now.level ? "accent" : "plain"}>${word("policy_level", level)}<//></li>`)}</ol>
    <p class="note"><${Said} instead=${word("policy_level", data.now.level)}>${data.now.why}<//></p>
    ${data.now.then && html`<p class="note" data-then>${t("policy.then", { time: dateTime(data.now.hold.until), profile: data.now.then })}</p>`}
    ${data.now.hold && mayWrite(state) && html`<${Release} key=${JSON.stringify(data.now.hold)} etag=${etag} done=${reload} />`}
    <${Loaded} of=${foreseen} rows=${3}>${({ stretches }) => html`<${Foreseen} stretches=${stretches} />`}<//>
    <${Rules} rules=${data.rules} wants=${data.document.rules} /><//>`;
}

// A row for each day, from midnight to midnight of the browser's zone.
function Foreseen({ stretches }) {
  const names = [...new Set(stretches.map(({ profile }) => profile))].sort(byRank);
  const tones = Object.fromEntries(tonesOf(names).map((tone, place) => [names[place], tone]));
  const bent = stretches.some(({ bends }) => bends.length);
  return html`<div class="foreseen"><h3>${t("policy.foreseen")}</h3><p class="note">${t("policy.if")}</p>
    <ul class="keys">${names.map((name) => html`<li key=${name}><i class=${`swatch tone-${tones[name]}`} aria-hidden="true"></i><${Name} of=${name} /></li>`)}
      ${bent && html`<li><i class="swatch bent" aria-hidden="true"></i>${t("policy.bent")}</li>`}</ul>
    <div class="days" aria-hidden="true">${days(stretches[0].since).map(([from, to]) => html`<span key=${from}>${weekday(from)}</span><${Day} from=${from} to=${to} stretches=${stretches} tones=${tones} />`)}
      <span></span><span class="hours"><span>0</span><span>6</span><span>12</span><span>18</span><span>24</span></span></div>
    <details class="original"><summary>${t("curve.table")}</summary><${Table} label=${t("policy.foreseen")} head=${[t("policy.from"), t("policy.until"), t("word.profile"), t("now.why")]}>
      ${stretches.map((one) => html`<tr key=${one.since}><th scope="row">${dateTime(one.since)}</th><td>${dateTime(one.until)}</td><td><${Name} of=${one.profile} /></td>
        <td><${Said} instead=${word("policy_level", one.level)}>${one.why}<//></td></tr>`)}<//></details></div>`;
}

function Day({ from, to, stretches, tones }) {
  const there = stretches.filter(({ since, until }) => since < to && until > from);
  return html`<svg viewBox="0 0 100 10" preserveAspectRatio="none">${there.map(({ since, until, profile, level, bends }) => {
    const x = Math.max(0, (100 * (since - from)) / (to - from));
    const width = Math.min(100, (100 * (until - from)) / (to - from)) - x;
    return html`<g key=${since} class=${`tone-${tones[profile]}`}><title>${`${clock(since)}\u2013${clock(until)} ${profile}: ${word("policy_level", level)}`}</title>
      <rect x=${x} width=${width} height="10" />${bends.length > 0 && html`<rect class="bent" x=${x} y="7" width=${width} height="3" />`}</g>`;
  })}</svg>`;
}

// Days on which the clocks change are longer or shorter than others.
function days(since) {
  const midnight = new Date(since * 1000).setHours(0, 0, 0, 0);
  const begins = Array.from({ length: DAYS + 1 }, (_, place) => new Date(midnight).setDate(new Date(midnight).getDate() + place) / 1000);
  return begins.slice(1).map((to, place) => [begins[place], to]);
}

function Rules({ rules, wants }) {
  if (!rules.length) return null;
  return html`<${Table} label=${t("policy.rules")} head=${[t("policy.rule"), t("policy.wants"), t("policy.state"), t("now.since"), t("policy.facts")]}>
    ${rules.map((rule, place) => html`<tr key=${rule.name}><th scope="row"><${Name} of=${rule.name} />${rule.emergency && html` <small>${word("policy_level", "emergency")}</small>`}</th>
      <td><${Wanted} then=${wants[place].then} /></td><td><${Badge} tone=${rule.active ? "warn" : "plain"}>${t(`policy.${rule.active ? "applies" : "waits"}`)}<//>${rule.dry_run && html` <small>${t("policy.dry_run")}</small>`}</td>
      <td>${rule.since ? html`<${Ago} at=${rule.since} />` : "\u2013"}</td><td><${Said}>${rule.facts}<//></td></tr>`)}<//>`;
}

function Wanted({ then }) {
  if (then.profile) return html`${t("word.profile")} <${Code} of=${then.profile} />`;
  if (then.max_tier) return t("policy.capped", { tier: word("tier", then.max_tier) });
  return html`<${Code} of=${then.task} /> \u2192 <${Code} of=${then.group} />`;
}

// Asked once more: it counts for everybody. `etag` is of the hold that is shown: another one is not ended unseen.
function Release({ etag, done }) {
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const release = async () => {
    setBusy(true);
    setError(null);
    try {
      await ask("policy/release", { method: "POST", body: {}, ifMatch: etag });
      setAsked(false);
    } catch (refused) {
      setError(refused);
    }
    setBusy(false);
    done();
  };
  return html`${error && html`<${Failure} error=${error} />`}<div class="hero-actions">${asked
    ? html`<span>${t("policy.sure")}</span> <${Button} kind="main" busy=${busy} onClick=${release}>${t("policy.release")}<//> <${Button} onClick=${() => setAsked(false)}>${t("act.cancel")}<//>`
    : html`<${Button} onClick=${() => setAsked(true)}>${t("policy.release")}<//>`}</div>`;
}
