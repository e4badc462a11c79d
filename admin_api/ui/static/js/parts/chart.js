// Small charts as SVG, each with its figures as text beside it. They must not know what is counted.

import { html } from "../dom.js";
import { number, percent } from "../format.js";

const RADIUS = 52;
const ROUND = 2 * Math.PI * RADIUS;
const tone = (place) => `tone-${Math.min(place, 4)}`;

// Shares of a whole. `parts` are [{name, value}].
export function Donut({ label, parts }) {
  const whole = parts.reduce((sum, { value }) => sum + value, 0);
  let past = 0;
  const arcs = parts.map(({ value }, place) => {
    const length = whole ? (value / whole) * ROUND : 0;
    const arc = html`<circle key=${place} class=${`arc ${tone(place)}`} cx="70" cy="70" r=${RADIUS} stroke-dasharray=${`${length} ${ROUND}`} stroke-dashoffset=${-past} transform="rotate(-90 70 70)" />`;
    past += length;
    return arc;
  });
  return html`<div class="donut">
    <svg viewBox="0 0 140 140" aria-hidden="true"><circle class="arc rest" cx="70" cy="70" r=${RADIUS} />${arcs}<text x="70" y="77">${number(whole)}</text></svg>
    <ul class="legend" aria-label=${label}>${parts.map(({ name, value }, place) => html`<li key=${name}>
      <i class=${`swatch ${tone(place)}`} aria-hidden="true"></i><span>${name}</span>
      <span>${number(value)} <small>${whole ? percent(value / whole) : ""}</small></span></li>`)}</ul></div>`;
}

// Amounts beside each other. `parts` are [{name, value, text}]; the longest bar is the largest value.
export function Bars({ label, parts }) {
  const most = Math.max(...parts.map(({ value }) => value), 0) || 1;
  return html`<ul class="bars" aria-label=${label}>${parts.map(({ name, value, text }, place) => html`<li key=${place}>
    <span>${name}</span><span>${text}</span>
    <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width=${(100 * value) / most} height="8" /></svg></li>`)}</ul>`;
}

// How values went; gaps stay gaps. Each of `lines` is a list as long as the others.
export function Spark({ label, lines }) {
  const values = lines.flat().filter((value) => value !== null);
  const top = (Math.max(...values, 0) || 1) * 1.1;
  const steps = Math.max(...lines.map((line) => line.length), 2) - 1;
  return html`<svg class="spark" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label=${label}>
    ${lines.map((line, place) => html`<path key=${place} class=${`line ${tone(place)}`} d=${path(line, steps, top)} />`)}</svg>`;
}

function path(line, steps, top) {
  let pen = "M";
  return line.map((value, place) => {
    if (value === null) {
      pen = "M";
      return "";
    }
    const point = `${pen}${((100 * place) / steps).toFixed(2)} ${(30 - (30 * value) / top).toFixed(2)}`;
    pen = "L";
    return point;
  }).join("");
}

// Shares of a whole as one bar, with their names below. `parts` are [{name, value}].
export function Split({ label, parts }) {
  const whole = parts.reduce((sum, { value }) => sum + value, 0);
  let past = 0;
  return html`<div class="split">
    <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">${parts.map(({ name, value }, place) => {
      const width = whole ? (100 * value) / whole : 0;
      const bar = html`<rect key=${name} class=${tone(place)} x=${past} width=${width} height="10" />`;
      past += width;
      return bar;
    })}</svg>
    <ul aria-label=${label}>${parts.map(({ name, value }, place) => html`<li key=${name}><i class=${`swatch ${tone(place)}`} aria-hidden="true"></i>${name} <b>${whole ? percent(value / whole, 0) : "\u2013"}</b></li>`)}</ul></div>`;
}
