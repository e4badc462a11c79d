// Asks for a key. Inside LiteLLM's UI it is only seen where no identity claim arrived.

import { html, useEffect, useRef, useState } from "../dom.js";
import { t } from "../i18n.js";
import { signIn, useLive } from "../live.js";
import { Failure, Field } from "../parts/basics.js";

export function SignIn() {
  const { notice } = useLive();
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const input = useRef(null);
  useEffect(() => input.current?.focus(), []);

  async function submit(event) {
    event.preventDefault();
    const key = input.current.value.trim();
    if (!key || busy) return;
    setBusy(true);
    setError(null);
    try {
      await signIn(key);
    } catch (refused) {
      setError(refused);
      setBusy(false);
      input.current.focus();
    }
  }

  return html`<form class="card sign" onSubmit=${submit}>
    <h1>${t("sign.title")}</h1>
    <p class="intro">${t("sign.intro")}</p>
    ${notice && html`<p class="notice" role="status">${t(`sign.${notice}`)}</p>`}
    <${Field} label=${t("sign.key")} hint=${t("sign.hint")}>
      <input ref=${input} type="password" name="key" autocomplete="off" spellcheck=${false} required />
    <//>
    ${error && html`<${Failure} error=${error} />`}
    <button class="button main" aria-busy=${busy || undefined} disabled=${busy}>${t("sign.in")}</button>
  </form>`;
}
