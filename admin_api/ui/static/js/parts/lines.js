// From a series of recorded usage to the lines of a curve. It must not know which screen draws them.

import { t, word } from "../i18n.js";
import { byRank, TIERS } from "../vocabulary.js";

// What each profile's requests cost, where anything is known to have.
export function costLines({ profiles }) {
  const names = Object.keys(profiles).sort(byRank).filter((name) => profiles[name].cost_usd.some(Boolean));
  return names.map((name, place) => ({ name: name || t("cost.no_name"), values: profiles[name].cost_usd, tone: place }));
}

// Of the requests that have a tier, how many each one took.
export function tierLines({ tiers, starts }) {
  const there = TIERS.filter((tier) => tiers[tier]);
  const all = starts.map((_, place) => there.reduce((sum, tier) => sum + tiers[tier].requests[place], 0));
  return there.map((tier) => ({ name: word("tier", tier), values: tiers[tier].requests.map((count, place) => (all[place] ? count / all[place] : null)), tone: TIERS.indexOf(tier) }));
}
