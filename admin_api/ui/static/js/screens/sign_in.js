// Asks for a key. Inside LiteLLM's UI it is only seen where no identity claim arrived.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../dom.js";
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

// Over all that is shown, also over its dialogs, which stay as they are: whoever it belongs to goes on there.
export function SignInAgain() {
  const ref = useRef(null);
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog.showModal();
    return () => dialog.close(); // what had the focus gets it back
  }, []);
  // Where nobody knows `closedby`, a second Escape closes a dialog whatever the page says to the first: it comes back.
  return html`<dialog ref=${ref} class="over" closedby="none" aria-label=${t("sign.title")} onCancel=${(event) => event.preventDefault()} onClose=${() => ref.current?.showModal()}><${SignIn} /></dialog>`;
}
