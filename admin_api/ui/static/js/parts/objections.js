// What speaks against a switch that nobody has looked at yet: found by a dry run, the forecast and the matrix.
// It must not know how it is shown.

import { ask } from "../api.js";

const DEARER = 0.25; // of what the recorded requests have cost, beyond which somebody has to look

const TRY_MS = 10_000; // without its answer nothing is switched
const LOOK_MS = 4_000; // a switch may be urgent

// Returns {receipt, etag, objections}, these as [{kind, ...}]: none means that it can be done at once. Raises what refuses the dry run.
export async function objectionsTo(profile) {
  const reads = { method: "POST", reads: true };
  const [{ data: receipt, etag }, plan, matrix, rollouts] = await Promise.all([
    ask("profiles/switch", { ...reads, ms: TRY_MS, body: { profile, dry_run: true } }),
    look("plan", "plan", { ...reads, body: { profile } }),
    look("matrix", `proof/matrix?${new URLSearchParams({ profile })}`),
    look("rollouts", "rollouts?limit=1"),
  ]);
  const unchecked = [plan, matrix, rollouts].flatMap((looked) => looked.unchecked);
  return {
    receipt, etag,
    objections: [
      ...warned(receipt), ...overtaken(rollouts.data), ...unproven(matrix.data), ...dearer(plan.data), ...unfitting(plan.data), ...cold(receipt),
      ...talking(receipt), ...unchecked,
    ],
  };
}

// What this proxy does not have, or this key may not see, speaks against nothing. What should have answered and did not is an
// objection itself: nobody knows what it would have said.
async function look(name, path, options = {}) {
  try {
    return { data: (await ask(path, { ...options, ms: LOOK_MS })).data, unchecked: [] };
  } catch (error) {
    if (error.status === 401) throw error;
    return { data: null, unchecked: error.absent || error.status === 403 ? [] : [{ kind: `unchecked_${name}` }] };
  }
}

const warned = ({ warnings }) => (warnings.length ? [{ kind: "warned" }] : []);

// Red always counts; what was never asked only where the operator wants proof.
function unproven(matrix) {
  const cells = matrix?.cells ?? [];
  const failing = cells.filter(({ state }) => state === "red").length;
  const unproven = matrix && matrix.gate !== "off" ? cells.filter(({ state }) => state !== "red" && state !== "green").length : 0;
  return [{ kind: "failing", count: failing }, { kind: "unproven", count: unproven }].filter(({ count }) => count);
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
