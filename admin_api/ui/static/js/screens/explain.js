// Looks up one request by its call id.

import { html, useState } from "../dom.js";
import { ask } from "../api.js";
import { t } from "../i18n.js";
import { Card, Failure, Field } from "../parts/basics.js";
import { Told } from "../parts/told.js";

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
