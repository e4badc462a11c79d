// Classifies a text without sending it anywhere, and marks the cues that were found in it.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { markCues } from "../cues.js";
import { percent } from "../format.js";
import { t, word } from "../i18n.js";
import { Badge, Button, Card, Code, Empty, Failure, Field } from "../parts/basics.js";
import { ordered } from "../vocabulary.js";

export function Playground({ profiles }) {
  const [text, setText] = useState("");
  const [profile, setProfile] = useState("");
  const [found, setFound] = useState(null); // {text, data} | {error}
  const [busy, setBusy] = useState(false);

  async function classify(event) {
    event.preventDefault();
    if (!text.trim() || busy) return;
    setBusy(true);
    try {
      const { data } = await ask("router/classify", { method: "POST", reads: true, body: { text, ...(profile ? { profile } : {}) } });
      setFound({ text, data });
    } catch (error) {
      setFound({ error });
    }
    setBusy(false);
  }

  return html`<${Card} title=${t("play.title")} note=${t("play.note")}>
    <form class="chart" onSubmit=${classify}>
      <${Field} label=${t("play.text")}><textarea value=${text} maxlength="50000" placeholder=${t("play.placeholder")} onInput=${(event) => setText(event.target.value)}></textarea><//>
      <div class="filters"><${Field} label=${t("word.profile")}><select value=${profile} onChange=${(event) => setProfile(event.target.value)}>
        <option value="">${t("play.active")}</option>${ordered(profiles).map(({ name }) => html`<option value=${name}>${name}</option>`)}</select><//>
        <button class="button main" disabled=${busy || !text.trim()} aria-busy=${busy || undefined}>${t("play.run")}</button></div>
    </form>
    <div role="status">${found?.data && html`<${Verdict} found=${found} />`}</div>
    ${found?.error && (found.error.absent ? html`<${Empty} title=${t("state.absent")}>${t("routing.absent")}<//>` : html`<${Failure} error=${found.error} />`)}
  <//>`;
}

function Verdict({ found }) {
  const { classification, decision } = found.data;
  const cues = classification.evidence.map((each) => each.slice(each.indexOf(": ") + 2));
  return html`<div class="chart verdict" data-task=${classification.task}>
    <dl class="facts wide">
      <div><dt>${t("word.task")}</dt><dd class="strong"><${Code} of=${classification.task} /> ${classification.detail && html`<small>${word("kind", classification.detail)}</small>`}</dd></div>
      <div><dt>${t("word.tier")}</dt><dd class="strong">${word("tier", classification.tier)}</dd></div>
      <div><dt>${t("play.confidence")}</dt><dd>${percent(classification.confidence, 0)} ${!classification.confident && html`<${Badge} tone="warn">${t("play.unsure")}<//>`}</dd></div>
      <div><dt>${t("play.difficulty")}</dt><dd>${percent(classification.difficulty, 0)}</dd></div>
      <div><dt>${t("play.source")}</dt><dd>${word("layer", classification.source)}</dd></div>
    </dl>
    <div class="quote">${markCues(found.text, cues).map((piece) => (piece.marked ? html`<mark>${piece.text}</mark>` : piece.text))}</div>
    ${classification.evidence.length > 0 && html`<p class="badges" aria-label=${t("play.cues")}>${classification.evidence.map((cue) => html`<${Badge} tone="accent">${cue}<//>`)}</p>`}
    <p>${t("play.goes")} <code>${decision.group}</code>${decision.ladder.length > 0 && html` <span class="note">${t("play.then")} ${decision.ladder.map((group, place) => html`${place > 0 && " \u2192 "}<code>${group}</code>`)}</span>`}</p>
    <p class="badges">${decision.profile && html`<${Badge}>${decision.profile}<//>`}${[decision.reason, ...decision.steps].map((step) => html`<${Badge}>${word("step", step)}<//>`)}</p>
    ${decision.left_out.length > 0 && html`<p class="note">${t("play.left_out")} ${decision.left_out.map(({ group, why }) => `${group} (${word("misfit", why)})`).join(", ")}</p>`}
  </div>`;
}
