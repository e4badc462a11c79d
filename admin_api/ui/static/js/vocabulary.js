// The order in which profiles and tiers are always shown. It must not know where.

const ORDER = ["premium", "balanced", "cost_effective", "specialized", "ultra_fast"];

export const TIERS = ["fast", "medium", "complex"];

export const rankOf = (profile) => ORDER.indexOf(profile) + 1 || ORDER.length + 1;

export const byRank = (a, b) => rankOf(a) - rankOf(b) || a.localeCompare(b);

export const ordered = (profiles) => [...profiles].sort((a, b) => byRank(a.name, b.name));
