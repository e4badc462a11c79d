// What speaks against a switch that nobody has looked at yet: found by a dry run, the forecast and the matrix.
// It must not know how it is shown.

import { ask } from "../api.js";

const DEARER = 0.25; // of what the recorded requests have cost, beyond which somebody has to look

const orNothing = (error) => {
  if (error.status === 401) throw error;
  return { data: null };
};

// Returns {receipt, etag, objections}, these as [{kind, ...}]: none means that it can be done at once. Raises what refuses the dry run.
export async function objectionsTo(profile) {
  const [{ data: receipt, etag }, { data: plan }, { data: matrix }, { data: rollouts }] = await Promise.all([
    ask("profiles/switch", { method: "POST", body: { profile, dry_run: true } }),
    ask("plan", { method: "POST", body: { profile } }).catch(orNothing),
    ask("proof/matrix").catch(orNothing),
    ask("rollouts?limit=1").catch(orNothing),
  ]);
  return { receipt, etag, objections: [...warned(receipt), ...overtaken(rollouts), ...unproven(matrix, profile), ...dearer(plan), ...unfitting(plan), ...cold(receipt), ...talking(receipt)] };
}

const warned = ({ warnings }) => (warnings.length ? [{ kind: "warned" }] : []);

// Red always counts; what was never asked only where the operator wants proof.
function unproven(matrix, profile) {
  const cells = (matrix?.cells ?? []).filter((cell) => cell.profile === profile);
  const count = cells.filter(({ state }) => state === "red" || (matrix.gate !== "off" && state !== "green")).length;
  return count ? [{ kind: "unproven", count }] : [];
}

function dearer(plan) {
  const [before, after] = [plan?.cost_before.usd, plan?.cost_after.usd];
  const share = before && after ? after / before - 1 : 0;
  return share > DEARER ? [{ kind: "dearer", share }] : [];
}

// A switch of a person goes before a rollout, and ends it.
const overtaken = (rollouts) => (rollouts?.running ? [{ kind: "rollout" }] : []);

const unfitting = (plan) => (plan?.findings.length ? [{ kind: "unfitting", count: plan.findings.length }] : []);

// Local models that clients would wait for, or in vain.
function cold({ warm }) {
  const count = (warm?.missing.length ?? 0) + (warm?.failed.length ?? 0);
  return count ? [{ kind: "cold", count }] : warm?.order === "ordered_swap" ? [{ kind: "swap" }] : [];
}

// Conversations of an earlier switch that still stay where they began, and a profile that takes every conversation along.
function talking({ conversations, held, drained }) {
  if (conversations === "move") return [{ kind: "moving" }];
  return held > drained ? [{ kind: "talking", count: held - drained }] : [];
}
