// A switch that was made at once, and the bar that can take it back: for five seconds, and as long as somebody is at it.
// It must not know which screen offers the switch.

import { html, useEffect, useRef, useState } from "../dom.js";
import { ask } from "../api.js";
import { milliseconds, percent } from "../format.js";
import { t } from "../i18n.js";
import { refresh, useLive } from "../live.js";
import { Button, say } from "./basics.js";
import { objectionsTo } from "./objections.js";

const SHOWN_MS = 5_000;
const LOOK_MS = 250;

// Returns {busy, go, bar}: `go(profile)` switches at once where nothing speaks against it, and else calls `onDoubt(change)` with
// what a dialog needs to know.
export function useQuickSwitch(onDoubt) {
  const [busy, setBusy] = useState(null);
  const [done, setDone] = useState(null); // {receipt, etag, undone}

  async function send(path, body, ifMatch, doubt, undone) {
    try {
      const { data, etag } = await ask(path, { method: "POST", body, ifMatch });
      // What changed nothing has nothing to take back: the change before is somebody else's.
      setDone(data.changed ? { receipt: data, etag, undone } : null);
      say(t(!data.changed ? "receipt.unchanged" : data.complete ? "change.said" : "change.said_partly", { profile: data.profile, revision: data.revision }));
    } catch (refused) {
      setDone(null);
      if (refused.status !== 401) onDoubt({ ...doubt, refused }); // the sign-in comes, which must not lie under a dialog
    }
    refresh();
  }

  async function go(profile) {
    setBusy(profile);
    setDone(null);
    const doubt = { kind: "switch", profile };
    try {
      const { etag, objections } = await objectionsTo(profile);
      if (objections.length) onDoubt({ ...doubt, objections });
      else await send("profiles/switch", { profile }, etag, doubt, false);
    } catch (error) {
      if (error.status !== 401) onDoubt(doubt); // the dialog asks again, and says what refuses
      else refresh();
    }
    setBusy(null);
  }

  const undo = () => {
    const { revision, previous_profile: profile } = done.receipt;
    return send("rollback", { to: revision - 1 }, done.etag, { kind: "rollback", to: revision - 1, profile }, true);
  };
  const { status } = useLive();
  // Somebody else's change is not ours to take back, nor is ours without theirs.
  const ours = done !== null && status.revision <= done.receipt.revision;
  const bar = ours && html`<${UndoBar} key=${done.receipt.revision} done=${done} onUndo=${undo} onEnd=${() => setDone(null)} />`;
  return { busy, go, bar };
}

function UndoBar({ done: { receipt, undone }, onUndo, onEnd }) {
  const box = useRef(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    // What was pressed is gone: the button of a profile that is active now.
    box.current.querySelector("button").focus();
    let left = SHOWN_MS;
    const timer = setInterval(() => {
      if (box.current === null) return; // the screen has gone meanwhile
      const held = box.current.matches(":hover") || box.current.querySelector(":focus-visible");
      if (!held && (left -= LOOK_MS) <= 0) onEnd();
    }, LOOK_MS);
    return () => {
      clearInterval(timer);
      if (box.current === null || box.current.contains(document.activeElement)) document.querySelector("main h1")?.focus();
    };
  }, []);
  const applied = receipt.workers.filter(({ state }) => state === "applied").length;
  return html`<section ref=${box} class="undo" aria-label=${t("undo.title")} data-complete=${receipt.complete} onKeyDown=${(event) => event.key === "Escape" && onEnd()}>
    <p><strong>${t("change.done", { profile: receipt.profile })}</strong>
      <span class="note">${t("undo.workers", { done: applied, all: receipt.workers.length, ms: milliseconds(receipt.duration_ms) })}</span></p>
    ${!undone && html`<${Button} kind="main" busy=${busy} onClick=${() => (setBusy(true), onUndo())}>${t("undo.back", { profile: receipt.previous_profile })}<//>`}
    <button type="button" class="icon" aria-label=${t("act.close")} onClick=${onEnd}>\u00d7</button>
    <i class="countdown" aria-hidden="true"></i></section>`;
}

// Why a switch was not made at once.
export function Objections({ objections }) {
  if (!objections?.length) return null;
  return html`<div class="notice warn"><strong>${t("objection.title")}</strong>
    <ul class="problems">${objections.map(({ kind, count, share }) => html`<li key=${kind}>${t(`objection.${kind}`, { count, share: share && percent(share, 0) })}</li>`)}</ul></div>`;
}
