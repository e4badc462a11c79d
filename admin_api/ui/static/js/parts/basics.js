// The small parts every screen is made of. They must not know any data of the API but problems.

import { html, useEffect, useRef, useState } from "../dom.js";
import { ago, dateTime, isoTime } from "../format.js";
import { t } from "../i18n.js";

export const Badge = ({ tone = "plain", children }) => html`<span class=${`badge ${tone}`}>${children}</span>`;

export function Button({ kind = "plain", busy = false, disabled = false, children, ...rest }) {
  return html`<button type="button" class=${`button ${kind}`} disabled=${disabled || busy} aria-busy=${busy || undefined} ...${rest}>
    ${children}</button>`;
}

export function Page({ title, intro, tools, children }) {
  return html`<header class="page-head">
      <div><h1 tabindex="-1">${title}</h1>${intro && html`<p class="intro">${intro}</p>`}</div>
      ${tools && html`<div class="tools">${tools}</div>`}
    </header>${children}`;
}

export function Card({ title, note, tools, children, class: kind = "card", ...rest }) {
  return html`<section class=${kind} ...${rest}>
    ${title && html`<div class="card-head"><h2>${title}</h2>${note && html`<span class="note">${note}</span>`}${tools}</div>`}
    ${children}</section>`;
}

// One figure with its unit and what it means.
export function Figure({ label, value, note, tone }) {
  return html`<div class=${`figure ${tone ?? ""}`}><dt>${label}</dt><dd>${value}${note && html`<small>${note}</small>`}</dd></div>`;
}

export const Figures = ({ children }) => html`<dl class="figures">${children}</dl>`;

// A moment, told relative to now and kept up to date; the exact time is one hover away.
export function Ago({ at }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 5_000);
    return () => clearInterval(timer);
  }, []);
  return html`<time datetime=${isoTime(at)} title=${dateTime(at)}>${ago(at)}</time>`;
}

export const Empty = ({ title, children }) => html`<div class="state"><strong>${title}</strong>${children && html`<p>${children}</p>`}</div>`;

// The space that content will take, so that nothing jumps when it arrives.
export function Loading({ rows = 4 }) {
  return html`<div class="loading" role="status"><span class="hidden">${t("state.loading")}</span>
    ${Array.from({ length: rows }, (_, row) => html`<div class="bone" key=${row}></div>`)}</div>`;
}

// Why something was refused, and what to do.
export function Failure({ error, children }) {
  const offline = error.status === 0;
  return html`<div class="notice bad" role="alert">
    <strong>${offline ? t("state.offline") : error.title || t("state.failed")}</strong>
    <p>${offline ? t("state.offline.fix") : error.detail}</p>
    ${error.fix && html`<p>${error.fix}</p>`}
    <${Problems} problems=${error.problems} />
    ${children}</div>`;
}

export function Problems({ problems }) {
  if (!problems?.length) return null;
  return html`<ul class="problems">${problems.map((problem) => html`<li>
      <code>${place(problem)}</code> ${problem.message} <span class="note">${problem.fix}</span></li>`)}</ul>`;
}

function place({ file, line, path }) {
  return [file && `${file}${line ? `:${line}` : ""}`, path].filter(Boolean).join(" \u00b7 ");
}

// Shows what useData found: content, or one of the four other states.
export function Loaded({ of, rows, absent, children }) {
  if (of.data !== null) return children(of.data);
  if (of.error === null) return html`<${Loading} rows=${rows} />`;
  if (of.error.status === 403) return html`<${Empty} title=${t("state.denied")}>${t("state.denied.fix")}<//>`;
  if (of.error.absent) return html`<${Empty} title=${t("state.absent")}>${absent ?? t("state.absent.fix")}<//>`;
  return html`<${Failure} error=${of.error}><${Button} onClick=${of.reload}>${t("act.retry")}<//><//>`;
}

// The browser's own modal dialog: it keeps the focus inside, closes on Escape and gives the focus back.
export function Dialog({ title, onClose, children, actions }) {
  const ref = useRef(null);
  useEffect(() => {
    const dialog = ref.current;
    const opener = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      opener?.focus?.();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${ref} aria-labelledby="dialog-title" onCancel=${cancel}
      onClick=${(event) => event.target === ref.current && onClose()}>
    <div class="dialog">
      <div class="dialog-head"><h2 id="dialog-title" tabindex="-1">${title}</h2>
        <button type="button" class="icon" aria-label=${t("act.close")} onClick=${onClose}>\u00d7</button></div>
      <div class="dialog-body">${children}</div>
      ${actions && html`<div class="dialog-actions">${actions}</div>`}
    </div></dialog>`;
}

// A table that scrolls by itself on a narrow screen, and can be scrolled with the keyboard.
export function Table({ label, head, children }) {
  return html`<div class="table" role="region" aria-label=${label} tabindex="0"><table>
    <thead><tr>${head.map((cell) => html`<th scope="col" class=${cell?.right ? "right" : undefined}>${cell?.text ?? cell}</th>`)}</tr></thead>
    <tbody>${children}</tbody></table></div>`;
}

export function Field({ label, hint, children }) {
  return html`<label class="field"><span>${label}</span>${children}${hint && html`<small>${hint}</small>`}</label>`;
}

export function Segments({ label, options, value, onChange }) {
  return html`<div class="segments" role="group" aria-label=${label}>${options.map(([id, text]) => html`
    <button type="button" key=${id} aria-pressed=${id === value} onClick=${() => onChange(id)}>${text}</button>`)}</div>`;
}

export function say(text) {
  const region = document.getElementById("said");
  if (region) region.textContent = text;
}
