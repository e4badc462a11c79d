// The browser's own modal dialog: it keeps the focus inside, and gives it back. What was typed into it is not thrown away
// unasked, whichever way it is left. It must not know what it holds.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../dom.js";
import { holdScreen } from "../address.js";
import { t } from "../i18n.js";
import { Button } from "./basics.js";

// Enter in a field is `onSubmit`, as its button of type "submit" is. What is `saved` cannot be lost. What opened the dialog is
// about to go where something is `changed`. `actions` are a function of what leaves it.
export function Dialog({ title, onClose, onSubmit, saved = false, changed = false, wide = false, children, actions }) {
  const ref = useRef(null);
  const pressed = useRef(null); // where the mouse went down: a selection may end beside the dialog
  const leaving = useRef(false);
  leaving.current = changed;
  const [asked, setAsked] = useState(false);
  const typed = useTyped(ref);
  const loses = () => !saved && typed() && (setAsked(true), true);
  const leave = () => loses() || onClose();
  useHold(loses);
  useEffect(() => {
    const dialog = ref.current;
    const opener = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      // As the button of a profile that is now active.
      const back = !leaving.current && opener?.isConnected && !opener.disabled ? opener : document.querySelector("main h1");
      back?.focus();
    };
  }, []);
  useLayoutEffect(() => {
    // What had the focus may be gone: then the title has it, before the next key comes.
    if (!ref.current.contains(document.activeElement)) ref.current.querySelector("h2").focus();
  });
  const stepBack = (event) => {
    event.preventDefault();
    if (asked) setAsked(false);
    else leave();
  };
  // Handled before the browser does: it closes a dialog by itself at the second Escape.
  const keys = (event) => event.key === "Escape" && !event.isComposing && stepBack(event);
  return html`<dialog ref=${ref} class=${wide ? "wide" : undefined} aria-labelledby="dialog-title" onKeyDown=${keys} onCancel=${stepBack}
      onMouseDown=${(event) => (pressed.current = event.target)} onClick=${(event) => event.target === ref.current && pressed.current === ref.current && leave()}>
    <form class="dialog" onSubmit=${(event) => (event.preventDefault(), asked || onSubmit?.())}>
      <div class="dialog-head"><h2 id="dialog-title" tabindex="-1">${title}</h2>
        <button type="button" class="icon" aria-label=${t("act.close")} onClick=${leave}>\u00d7</button></div>
      <div class="dialog-body">${children}</div>
      ${asked ? html`<${Unsaved} onStay=${() => setAsked(false)} onLeave=${onClose} />` : html`<div class="dialog-actions">${actions(leave)}</div>`}
    </form></dialog>`;
}

// Gives a button the focus, where it is in sight without moving what the dialog says: Enter would press it unseen. Else the title has it.
export function focusSeen(button) {
  const dialog = button?.closest("dialog");
  if (!dialog) return;
  const seen = button.getBoundingClientRect().bottom <= dialog.getBoundingClientRect().bottom;
  (seen ? button : dialog.querySelector("h2")).focus();
}

// The actions of a dialog in which there is nothing to do but to read.
export const closing = (text) => (leave) => html`<${Button} kind="main" onClick=${leave}>${t(text)}<//>`;

function Unsaved({ onStay, onLeave }) {
  const box = useRef(null);
  useLayoutEffect(() => box.current.querySelector("button").focus(), []);
  return html`<div ref=${box} class="dialog-actions unsaved" role="alert"><span>${t("dialog.unsaved")}</span>
    <${Button} kind="main" onClick=${onStay}>${t("dialog.stay")}<//><${Button} onClick=${onLeave}>${t("dialog.discard")}<//></div>`;
}

const fieldsOf = (dialog) => [...(dialog?.querySelectorAll("input, textarea, select") ?? [])];
const nameOf = (field) => field.getAttribute("aria-label") ?? field.labels[0]?.textContent;
const valueOf = (field) => (field.type === "checkbox" ? field.checked : field.value);

// Returns what tells whether somebody wrote something: a field says, or said before it went, other than when it first
// appeared. Fields may be drawn anew in between.
function useTyped(ref) {
  const first = useRef(new Map());
  const last = useRef(new Map());
  const look = () => {
    for (const field of fieldsOf(ref.current)) {
      const name = nameOf(field);
      if (!first.current.has(name)) first.current.set(name, valueOf(field));
      last.current.set(name, valueOf(field));
    }
  };
  useEffect(look);
  return () => {
    look();
    return [...last.current].some(([name, value]) => value !== first.current.get(name));
  };
}

// The way back, a reload or a closed tab would lose it as well.
function useHold(holds) {
  const latest = useRef(holds);
  latest.current = holds;
  useEffect(() => {
    const end = holdScreen(() => latest.current());
    const stay = (event) => latest.current() && event.preventDefault();
    window.addEventListener("beforeunload", stay);
    return () => (end(), window.removeEventListener("beforeunload", stay));
  }, []);
}
