// Numbers, times and money as people of the page's language write them. It must not know what they measure.

import { language } from "./i18n.js";
import { now } from "./time.js";

const NONE = "\u2013";
const known = (value) => value !== null && value !== undefined && Number.isFinite(Number(value));

const cache = new Map();

function formatter(make, options) {
  const id = `${make.name}${language()}${JSON.stringify(options)}`;
  if (!cache.has(id)) cache.set(id, new make(language(), options));
  return cache.get(id);
}

export function number(value, digits = 0) {
  if (!known(value)) return NONE;
  return formatter(Intl.NumberFormat, { maximumFractionDigits: digits }).format(value);
}

export function compact(value) {
  if (!known(value)) return NONE;
  return formatter(Intl.NumberFormat, { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

export function percent(share, digits = 1) {
  if (!known(share)) return NONE;
  return formatter(Intl.NumberFormat, { style: "percent", maximumFractionDigits: digits }).format(share);
}

// US dollars: small sums keep the digits that tell them apart.
export function money(value) {
  if (!known(value)) return NONE;
  const small = value !== 0 && Math.abs(value) < 1;
  const options = { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol" };
  return formatter(Intl.NumberFormat, {
    ...options, ...(small ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 2 }),
  }).format(value);
}

export function milliseconds(value) {
  if (!known(value)) return NONE;
  if (value >= 10_000) return `${number(value / 1000, 1)}\u00a0s`;
  return `${number(value, value < 10 ? 1 : 0)}\u00a0ms`;
}

// Returns what writes the times of one column: all in the same unit, that of the longest.
export function timesLike(values) {
  const longest = Math.max(0, ...values.filter(known));
  if (longest >= 10_000) return (value) => (known(value) ? `${fixed(value / 1000, 1)}\u00a0s` : NONE);
  return (value) => (known(value) ? `${fixed(value, longest < 10 ? 1 : 0)}\u00a0ms` : NONE);
}

const fixed = (value, digits) => formatter(Intl.NumberFormat, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

// A length of time in days, in the largest unit of which there are at least two.
export function duration(days) {
  const [unit, each] = [["day", 1], ["hour", 1 / 24], ["minute", 1 / 1440]].find(([, size]) => days >= 2 * size) ?? ["minute", 1 / 1440];
  return formatter(Intl.NumberFormat, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(days / each);
}

export function dateTime(seconds) {
  if (!known(seconds)) return NONE;
  return formatter(Intl.DateTimeFormat, { dateStyle: "medium", timeStyle: "medium" }).format(seconds * 1000);
}

export function day(seconds) {
  if (!known(seconds)) return NONE;
  return formatter(Intl.DateTimeFormat, { day: "numeric", month: "short" }).format(seconds * 1000);
}

export function weekday(seconds) {
  if (!known(seconds)) return NONE;
  return formatter(Intl.DateTimeFormat, { weekday: "short", day: "numeric", month: "numeric" }).format(seconds * 1000);
}

export function clock(seconds) {
  if (!known(seconds)) return NONE;
  return formatter(Intl.DateTimeFormat, { hour: "2-digit", minute: "2-digit" }).format(seconds * 1000);
}

export function clockToTheSecond(seconds) {
  if (!known(seconds)) return NONE;
  return formatter(Intl.DateTimeFormat, { timeStyle: "medium" }).format(seconds * 1000);
}

const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

export function ago(seconds) {
  if (!known(seconds)) return NONE;
  const past = Math.max(0, now() / 1000 - seconds);
  const [unit, size] = UNITS.find(([, each]) => past >= each) ?? UNITS.at(-1);
  return formatter(Intl.RelativeTimeFormat, { numeric: "auto" }).format(-Math.floor(past / size), unit);
}

// A name without what tells it from others of that name: the log writes "name (id)".
export const shortName = ({ name }) => name.replace(/ \([^()]+\)$/, "");

export const isoTime = (seconds) => (known(seconds) ? new Date(seconds * 1000).toISOString() : undefined);
