// From a series of recorded usage to the lines of a curve. It must not know which screen draws them.

import { t, word } from "../i18n.js";
import { byRank, rankOf, TIERS } from "../vocabulary.js";

const NAMELESS_TONE = 4;
const TONES = [0, 1, 2, 3, 6]; // of the shipped profiles: always the same, whichever of them there are
const OTHERS = [7, 5];

// A tone for each name, in the order of `byRank`: they repeat only where there are more names than tones.
export function tonesOf(names) {
  const fixed = names.map((name) => (name ? TONES[rankOf(name) - 1] : NAMELESS_TONE));
  const free = [...OTHERS, ...TONES].filter((tone) => !fixed.includes(tone));
  let place = 0;
  return fixed.map((tone) => tone ?? free[place++ % free.length]);
}

// What each profile's requests cost, where anything is known to have.
export function costLines({ profiles }) {
  const names = Object.keys(profiles).sort(byRank).filter((name) => profiles[name].cost_usd.some(Boolean));
  const tones = tonesOf(names);
  return names.map((name, place) => ({ name: name || t("cost.no_name"), values: profiles[name].cost_usd, tone: tones[place] }));
}

// Of the requests that have a tier, how many each one took.
export function tierLines({ tiers, starts }) {
  const there = TIERS.filter((tier) => tiers[tier]);
  const all = starts.map((_, place) => there.reduce((sum, tier) => sum + tiers[tier].requests[place], 0));
  return there.map((tier) => ({ name: word("tier", tier), values: tiers[tier].requests.map((count, place) => (all[place] ? count / all[place] : null)), tone: TIERS.indexOf(tier) }));
}
