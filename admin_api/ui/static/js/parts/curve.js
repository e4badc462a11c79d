// Figures over time on a canvas, drawn by uPlot: real axes, marks, a cursor for mouse and keyboard, and the same as a table.
// It must not know what is counted.

import uPlot from "../../vendor/uplot.js";
import { html, useEffect, useRef, useState } from "../dom.js";
import { clock, dateTime, day } from "../format.js";
import { language, preferences, t } from "../i18n.js";
import { DAY } from "../period.js";
import { useStore } from "../store.js";
import { now } from "../time.js";
import { Empty, Table } from "./basics.js";

const HEIGHT = 210;
const TICK_PX = 60;
const LETTER_PX = 7.2;
const COUNTS = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((each) => each * 10 ** power)).flat();
const FEW = 60; // steps up to which each value has a dot
const TONES = 8;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const toneOf = ({ tone }, place) => `--tone-${(tone ?? place) % TONES}`;

// `over` is {starts, step}. `lines` are [{name, values, tone}] as long as `starts`; `stacked` draws them as columns on top of each
// other. `show` writes a value; `top` is where the axis ends, where that is known;
// `whole` values are counted, not measured; `marks` are [{at, text}]; `calm` is said
// where there is nothing to draw.
export function Curve({ label, over, lines, show, stacked = false, whole = false, top, marks = [], calm = t("curve.none") }) {
  const box = useRef(null);
  const plot = useRef(null);
  const latest = useRef(null);
  const [spot, setSpot] = useState(null); // {place, left} of the cursor, while it is in this very chart
  const { theme } = useStore(preferences);
  latest.current = { over, lines, show, marks, top, stacked, whole, setSpot };
  const made = `${language()} ${stacked} ${lines.map(({ name, tone }) => name + tone)}`;
  const empty = !lines.some(({ values }) => values.some((value) => value));

  useEffect(() => {
    if (empty) return undefined;
    const target = box.current;
    plot.current = new uPlot(options(target, latest), drawn(latest.current), target);
    const watch = new ResizeObserver(() => plot.current.setSize({ width: target.clientWidth, height: HEIGHT }));
    watch.observe(target);
    return () => (watch.disconnect(), plot.current.destroy(), (plot.current = null));
  }, [made, empty]);
  useEffect(() => plot.current?.setData(drawn(latest.current)), [over, lines]);
  useEffect(() => {
    const repaint = () => plot.current?.redraw(false, true);
    repaint();
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", repaint);
    return () => dark.removeEventListener("change", repaint);
  }, [theme, marks]);

  const point = (place) => plot.current.setCursor({ left: plot.current.valToPos(middles(over)[place], "x"), top: 8 });
  const keys = (event) => {
    const last = over.starts.length - 1;
    const here = spot?.place ?? last + 1;
    const moves = { ArrowLeft: Math.max(0, here - 1), ArrowRight: Math.min(last, here + 1), Home: 0, End: last };
    if (event.key === "Escape") setSpot(null);
    if (!(event.key in moves)) return;
    event.preventDefault();
    point(moves[event.key]);
    setSpot({ place: moves[event.key], left: plot.current.valToPos(middles(over)[moves[event.key]], "x") });
  };
  if (empty) return html`<${Empty} title=${calm} />`;
  return html`<div class="curve">
    <ul class="keys">${lines.map((line, place) => html`<li key=${line.name}><${Swatch} line=${line} place=${place} />${line.name}</li>`)}</ul>
    <div ref=${box} class="canvas" tabindex="0" role="group" aria-label=${t("curve.label", { label })} onKeyDown=${keys} onBlur=${() => setSpot(null)} onMouseLeave=${() => setSpot(null)}>
      ${spot && html`<${Tip} spot=${spot} width=${box.current.clientWidth} over=${over} lines=${lines} show=${show} marks=${marks} />`}</div>
    <${Figures} label=${label} over=${over} lines=${lines} show=${show} /></div>`;
}

const Swatch = ({ line, place }) => html`<i class=${`swatch ${toneOf(line, place).slice(2)}`} aria-hidden="true"></i>`;

function Tip({ spot: { place, left }, width, over: { starts, step }, lines, show, marks }) {
  const start = starts[place];
  const here = marks.filter(({ at }) => at >= start && at < start + step);
  const side = left > width / 2 ? { right: `${width - left + 14}px` } : { left: `${left + 14}px` };
  return html`<div class="tip" role="status" style=${side}><strong>${span(start, step)}</strong>
    ${lines.map((line, at) => html`<span key=${line.name}><${Swatch} line=${line} place=${at} />${line.name} <b>${show(line.values[place])}</b></span>`)}
    ${start + step > now() / 1000 && html`<small>${t("curve.running")}</small>`}
    ${here.map(({ at, text }) => html`<small key=${at}>${clock(at)} ${text}</small>`)}</div>`;
}

const span = (start, step) => (step >= DAY ? day(start) : `${day(start)}, ${clock(start)}\u2009\u2013\u2009${clock(start + step)}`);

// The same figures for who cannot, or would rather not, see a curve; newest first.
function Figures({ label, over: { starts, step }, lines, show }) {
  const [open, setOpen] = useState(false);
  const places = starts.map((_, place) => place).filter((place) => lines.some(({ values }) => values[place])).reverse();
  return html`<details class="original" onToggle=${(event) => setOpen(event.target.open)}><summary>${t("curve.table")}</summary>
    ${open && html`<${Table} label=${label} head=${[t("curve.time"), ...lines.map(({ name }) => ({ text: name, right: true }))]}>
      ${places.map((place) => html`<tr key=${starts[place]}><th scope="row" title=${dateTime(starts[place])}>${span(starts[place], step)}</th>
        ${lines.map(({ name, values }) => html`<td class="right" key=${name}>${show(values[place])}</td>`)}</tr>`)}<//>`}</details>`;
}

const middles = ({ starts, step }) => starts.map((start) => start + step / 2);

// Columns on top of each other are drawn from the highest to the lowest, each down to the ground.
function drawn({ over, lines, stacked }) {
  const values = lines.map((line) => line.values);
  if (!stacked) return [middles(over), ...values];
  const heights = values.map((_, from) => over.starts.map((_, place) => values.slice(from).reduce((sum, line) => sum + (line[place] ?? 0), 0)));
  return [middles(over), ...heights];
}

function options(target, latest) {
  const { lines, stacked, whole } = latest.current;
  const paths = stacked ? uPlot.paths.bars({ size: [0.86, 48] }) : undefined;
  const quiet = () => colour("--quiet");
  const axis = { stroke: quiet, font: "12px system-ui, sans-serif", ticks: { show: false } };
  return {
    width: target.clientWidth, height: HEIGHT, legend: { show: false }, padding: [14, 30, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "curves" }, points: { show: !stacked } },
    scales: {
      x: { range: () => edges(latest.current.over) },
      y: { range: (_, low, high) => [0, latest.current.top ?? (high > 0 ? high * 1.08 : 1)] },
    },
    series: [{}, ...lines.map((line, place) => {
      const tone = () => colour(toneOf(line, place));
      return { stroke: tone, fill: stacked ? tone : undefined, width: stacked ? 0 : 2, paths, points: { show: (plot, _, from, to) => !stacked && to - from < FEW, size: 5, fill: tone } };
    })],
    axes: [
      { ...axis, grid: { show: false }, space: TICK_PX, values: (_, ticks) => ticks.map(tick(latest)), size: 28 },
      { ...axis, grid: { stroke: () => colour("--line"), width: 1 }, space: 36, gap: 6, ...(whole && { incrs: COUNTS }),
        values: (_, ticks) => ticks.map((value) => latest.current.show(value)),
        size: (_, texts) => 14 + LETTER_PX * Math.max(4, ...(texts ?? []).map((text) => text.length)) },
    ],
    hooks: {
      setCursor: [(plot) => {
        const { idx, left, event } = plot.cursor;
        if (event === undefined || event === null) return; // moved by another chart, or by a key
        latest.current.setSpot(idx === null || left < 0 ? null : { place: idx, left: plot.valToPos(plot.data[0][idx], "x") });
      }],
      draw: [(plot) => drawMarks(plot, latest.current.marks)],
    },
  };
}

const edges = ({ starts, step }) => [starts[0], starts.at(-1) + step];

const tick = (latest) => (at) => {
  const [first, last] = edges(latest.current.over);
  return last - first > 2 * DAY ? day(at) : clock(at);
};

// A dashed line where somebody changed what answers.
function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  const [first, last] = [plot.scales.x.min, plot.scales.x.max];
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("--quiet");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { at } of marks.filter((mark) => mark.at >= first && mark.at <= last)) {
    const x = Math.round(plot.valToPos(at, "x", true));
    const size = 4 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x - size, bbox.top - 2 * size);
    ctx.lineTo(x + size, bbox.top - 2 * size);
    ctx.lineTo(x, bbox.top);
    ctx.fill();
  }
  ctx.restore();
}
