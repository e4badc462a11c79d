// From a series of recorded usage to the lines of a curve. It must not know which screen draws them.

import { t, word } from "../i18n.js";
import { byRank, rankOf, TIERS } from "../vocabulary.js";

const NAMELESS_TONE = 4;
const TONES = [0, 1, 2, 3, 6]; // of the shipped profiles: always the same, whichever of them there are
const OTHERS = [7, 5];

function toneOf(name) {
  if (!name) return NAMELESS_TONE;
  const rank = rankOf(name) - 1;
  return TONES[rank] ?? OTHERS[name.length % OTHERS.length];
}

// What each profile's requests cost, where anything is known to have.
export function costLines({ profiles }) {
  const names = Object.keys(profiles).sort(byRank).filter((name) => profiles[name].cost_usd.some(Boolean));
  return names.map((name) => ({ name: name || t("cost.no_name"), values: profiles[name].cost_usd, tone: toneOf(name) }));
}

// Of the requests that have a tier, how many each one took.
export function tierLines({ tiers, starts }) {
  const there = TIERS.filter((tier) => tiers[tier]);
  const all = starts.map((_, place) => there.reduce((sum, tier) => sum + tiers[tier].requests[place], 0));
  return there.map((tier) => ({ name: word("tier", tier), values: tiers[tier].requests.map((count, place) => (all[place] ? count / all[place] : null)), tone: TIERS.indexOf(tier) }));
}
