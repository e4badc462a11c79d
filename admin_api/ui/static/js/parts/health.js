// What an operator has to know at once: one word where all is well, else one chip for each thing that is not, leading to its screen.

import { html } from "../dom.js";
import { useData } from "../data.js";
import { t } from "../i18n.js";
import { fresh, mayReadAll } from "../live.js";

const MATRIX_MS = 15_000;
const STATS_MS = 5_000;
const OWN_CHIPS = ["part_off", "wire_unseen", "background_stalled", "dead_mapping"];
const UNWELL = ["slow", "failing", "cooldown", "unavailable"];

export function Health({ state }) {
  const all = mayReadAll(state);
  const active = state.status.active_profile;
  const matrix = useData(all && active ? `proof/matrix?${new URLSearchParams({ profile: active })}` : null, { every: MATRIX_MS });
  const stats = useData(all ? "router/stats" : null, { every: STATS_MS });
  if (!all) return null;
  const found = [...ofStatus(state.status), ...ofMatrix(matrix.data), ...ofDeployments(stats.data)];
  // Nobody knows whether what was well still is.
  const chips = found.filter(({ tone }) => fresh(state) || tone !== "good");
  const wrong = found.filter(({ tone }) => tone !== "good");
  return html`<ul class="health" aria-label=${t("health.title")}>
    ${fresh(state) && !wrong.length && html`<li><span class="chip good"><i aria-hidden="true"></i>${t("health.well")}</span></li>`}
    ${chips.map(({ key, tone, screen, places }) => html`<li key=${key}><a class=${`chip ${tone}`} href=${`#/${screen}`}><i aria-hidden="true"></i>${t(`health.${key}`, places)}</a></li>`)}</ul>`;
}

const chip = (key, tone, screen, places = {}) => ({ key, tone, screen, places });

function ofStatus({ problems, workers, embedded_groups: embedded, revision }) {
  const found = [];
  const count = (code) => problems.filter((problem) => problem.code === code).length;
  const others = problems.filter(({ code }) => !OWN_CHIPS.includes(code)).length;
  if (others) found.push(chip("problems", "bad", "now", { count: others }));
  if (count("dead_mapping")) found.push(chip("dead", "bad", "mappings", { count: count("dead_mapping") }));
  if (count("part_off")) found.push(chip("parts", "bad", "workers", { count: count("part_off") }));
  if (count("wire_unseen")) found.push(chip("unseen", "warn", "workers", { count: count("wire_unseen") }));
  if (count("background_stalled")) found.push(chip("stalled", "bad", "workers", { count: count("background_stalled") }));
  if (embedded.length) found.push(chip("embedded", "warn", "mappings", { count: embedded.length }));
  const live = workers.filter((worker) => worker.live);
  const current = live.filter((worker) => worker.revision === revision).length;
  found.push(chip("workers", current < live.length ? "warn" : "good", "workers", { done: current, all: live.length }));
  const drifts = live.reduce((sum, { report }) => sum + (Number(report.drifts) || 0), 0);
  if (drifts) found.push(chip("drifts", "warn", "workers", { count: drifts }));
  return found;
}

function ofMatrix(matrix) {
  const cells = matrix?.cells ?? [];
  const red = cells.filter(({ state }) => state === "red").length;
  const proven = cells.filter(({ state }) => state === "green").length;
  if (red) return [chip("cells", "bad", "matrix", { count: red })];
  return proven ? [chip("proven", "good", "matrix", { done: proven, all: cells.length })] : [];
}

function ofDeployments(stats) {
  const unwell = (stats?.deployments ?? []).filter(({ health }) => UNWELL.includes(health)).length;
  return unwell ? [chip("deployments", "warn", "routing", { count: unwell })] : [];
}
