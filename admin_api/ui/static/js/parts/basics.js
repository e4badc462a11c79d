// The small parts every screen is made of. They must not know any data of the API but problems.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../dom.js";
import { ago, clockToTheSecond, dateTime, isoTime } from "../format.js";
import { known, language, t, word } from "../i18n.js";
import { useLive } from "../live.js";

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

// One figure with its unit and what it means; below it what else there is to see.
export function Figure({ label, value, note, tone, children }) {
  return html`<div class=${`figure ${tone ?? ""}`}><dt>${label}</dt><dd>${value}${note && html`<small>${note}</small>`}${children}</dd></div>`;
}

export const Figures = ({ children }) => html`<dl class="figures">${children}</dl>`;

const AGO_MS = 5_000;
const ticks = new Set(); // a screen may show thousands of moments: one timer for all of them
setInterval(() => ticks.forEach((tick) => tick()), AGO_MS);

// A moment, told relative to now and kept up to date; the exact time is one hover away.
export function Ago({ at }) {
  const [, setTold] = useState(ago(at));
  useEffect(() => {
    const tick = () => setTold(ago(at));
    ticks.add(tick);
    return () => ticks.delete(tick);
  }, [at]);
  return html`<time datetime=${isoTime(at)} title=${dateTime(at)}>${ago(at)}</time>`;
}

export const Empty = ({ title, children }) => html`<div class="state"><strong>${title}</strong>${children && html`<p>${children}</p>`}</div>`;

// The space that content will take, so that nothing jumps when it arrives.
export function Loading({ rows = 4 }) {
  return html`<div class="loading" role="status"><span class="hidden">${t("state.loading")}</span>
    ${Array.from({ length: rows }, (_, row) => html`<div class="bone" key=${row}></div>`)}</div>`;
}

// A sentence of the proxy's. They are English: a page in another language says `instead` in its own words, and has the
// original one click away.
export function Said({ children, instead }) {
  if (!children || language() === "en") return children || null;
  return html`${instead} <details class="original"><summary>${t("state.original")}</summary><span lang="en">${children}</span></details>`;
}

// What a code of the API means, in the page's language; a code that this page does not know yet is still said to be one.
const meaning = (code) => (known("problem", code) ? word("problem", code) : t("state.problem", { code }));

// Why something was refused, and what to do: in the page's words where the proxy's are for who writes requests by hand. What the page asks for `again` by itself is said to be.
export function Failure({ error, again = false, children }) {
  if (error.status === 0) return html`<div class="notice bad" role="alert"><strong>${t("state.offline")}</strong><p>${t(again ? "state.offline.fix" : "state.offline.act")}</p>${children}</div>`;
  return html`<div class="notice bad" role="alert">
    <strong>${meaning(error.code)}</strong>
    ${known("fix", error.code) ? html`<p>${word("fix", error.code)}</p>` : error.detail && html`<div><${Said}>${`${error.detail} ${error.fix}`}<//></div>`}
    <${Problems} problems=${error.problems} />
    ${children}</div>`;
}

export function Problems({ problems }) {
  if (!problems?.length) return null;
  return html`<ul class="problems">${problems.map((problem) => html`<li>
      <code>${place(problem)}</code> ${problem.message ? html`<${Said} instead=${meaning(problem.code)}>${`${problem.message} ${problem.fix}`}<//>` : meaning(problem.code)}</li>`)}</ul>`;
}

// Of when something is that may have changed since.
export const AsOf = ({ at }) => html`<time datetime=${isoTime(at / 1000)}>${t("state.as_of", { time: clockToTheSecond(at / 1000) })}</time>`;

function place({ file, line, path }) {
  return [file && `${file}${line ? `:${line}` : ""}`, path].filter(Boolean).join(" \u00b7 ");
}

// Shows what useData found: content, of when it is where it can not be had anew, or one of the four other states.
// That the proxy does not answer at all is said once, above every screen.
export function Loaded({ of, rows, absent, children }) {
  const everywhere = useLive().failure !== null;
  if (of.data !== null) {
    return html`${of.error && html`<div class="notice warn stale" role="status"><${AsOf} at=${of.at} />${!everywhere && of.error.status !== 0 && html`<p>${meaning(of.error.code)}</p>`}</div>`}${children(of.data)}`;
  }
  if (of.error === null || (of.error.status === 0 && everywhere)) return html`<${Loading} rows=${rows} />`;
  if (of.error.status === 403) return html`<${Empty} title=${t("state.denied")}>${t("state.denied.fix")}<//>`;
  if (of.error.absent) return html`<${Empty} title=${t("state.absent")}>${absent ?? t("state.absent.fix")}<//>`;
  return html`<${Failure} error=${of.error} again><${Button} onClick=${of.reload}>${t("act.retry")}<//><//>`;
}

// A name of the API, which may be broken where its words meet, and in a word that is longer than most names.
const PARTS = /[^_\-/.:]{1,24}[_\-/.:]?|[_\-/.:]/gu;
export const Name = ({ of }) => (String(of).match(PARTS) ?? []).map((part, place) => html`${place > 0 && html`<wbr />`}${part}`);
export const Code = ({ of, was }) => html`<code class=${was ? "was" : undefined}><${Name} of=${of} /></code>`;

// A table where there is room for one. Where there is not, each row is a block, and every cell has its column's title.
export function Table({ label, head, children }) {
  const ref = useRef(null);
  const needs = useRef(0); // the width that it was seen not to fit into
  const fitted = useRef(null); // the head and rows that was of
  useLayoutEffect(() => {
    const titles = head.map((cell) => cell?.text ?? cell ?? "");
    const rows = ref.current.querySelectorAll("tbody tr");
    for (const { cells } of rows) {
      for (const [place, cell] of [...cells].entries()) {
        if (cell.dataset.column !== (titles[place] ?? "")) cell.dataset.column = titles[place] ?? "";
      }
    }
    const shown = [rows.length, ...titles].join("\n");
    if (shown !== fitted.current) fit(ref.current, needs);
    fitted.current = shown;
  });
  useEffect(() => {
    const watch = new ResizeObserver(() => refit(ref.current, needs));
    watch.observe(ref.current);
    watch.observe(ref.current.firstChild);
    return () => watch.disconnect();
  }, []);
  return html`<div ref=${ref} class="table"><table aria-label=${label}>
    <thead><tr>${head.map((cell) => html`<th scope="col" class=${cell?.right ? "right" : undefined}>${cell?.text ?? cell}</th>`)}</tr></thead>
    <tbody>${children}</tbody></table></div>`;
}

// Measures it as a table, which of a large one takes long: it has to be laid out twice.
function fit(box, needs) {
  box.classList.remove("stacked");
  needs.current = box.scrollWidth > box.clientWidth ? box.scrollWidth : 0;
  box.classList.toggle("stacked", needs.current > 0);
}

// After its place, or a table's own width, has become another one.
function refit(box, needs) {
  if (box?.classList.contains("stacked") && needs.current <= box.clientWidth) fit(box, needs);
  else if (box && box.scrollWidth > box.clientWidth) fit(box, needs);
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
