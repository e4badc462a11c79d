// A row of the audit log in one line: what was done, and from what to what. `neuronode audit tail` says the same.
// It must not know which screen shows it.

import { html } from "../dom.js";
import { percent, shortName } from "../format.js";
import { known, t, word } from "../i18n.js";
import { Name } from "./basics.js";

const BOUND = /^(team|key):/;
const TASK = /^(?!@|team:|key:)[^.]*$/; // and not who is bound, a rollout, a policy, nor a place in a profile, which has a dot
const SHOWN = 2;
const MOST = 60; // characters of a side
const BINDING = /^(.*?)(?:, beyond ([\d.]+)% (.*))?$/; // as the audit log writes one

// Returns [{what, before, after}]; `what` is null where the active profile changed: then tasks follow it, and go unsaid.
function deeds({ profile_before: before, profile_after: after, changes }) {
  const switched = before !== after;
  const others = changes.filter(({ task }) => !switched || !TASK.test(task)).map(({ task: what, ...change }) => ({ what, ...change }));
  return switched ? [{ what: null, before, after }, ...others] : others;
}

function subject(what) {
  if (what.startsWith("@")) return word("deed", what.slice(1));
  if (!BOUND.test(what)) return html`<code><${Name} of=${what} /></code>`;
  const place = what.indexOf(":");
  return html`${t(what.startsWith("team") ? "word.team" : "sign.key")} <${Name} of=${what.slice(place + 1)} />`;
}

function side(what, value) {
  if (!BOUND.test(what ?? "")) return value?.length > MOST ? `${value.slice(0, MOST)}\u2026` : value ?? "\u2013";
  const [, profile, share, then] = BINDING.exec(value ?? "active");
  const base = profile === "active" ? t("play.active") : profile;
  return share ? `${base}, ${t("bind.beyond.text", { share: percent(share / 100, 2), profile: then })}` : base;
}

// The kind of act goes before it.
export function Deed({ entry }) {
  const all = deeds(entry);
  const told = all.length > SHOWN + 1 ? all.slice(0, SHOWN) : all;
  return html`<strong>${word("action", entry.action)}</strong> ${told.length === 0 && html`<${Name} of=${entry.profile_after} />`}
    ${told.map(({ what, before, after }, place) => html`${place > 0 && "; "}${what !== null && what !== `@${entry.action}` && html`${subject(what)}: `}${(what || before) && html`<${Name} of=${side(what, before)} /> \u2192 `}<b><${Name} of=${side(what, after)} /></b>`)}
    ${told.length < all.length && ` ${t("deed.more", { count: all.length - told.length })}`}`;
}

// What the proxy writes as a reason by itself is said in the page's words; what people wrote stays theirs.
export const because = ({ reason }) => reason.split("; ").map((part) => (known("because", part.replaceAll(" ", "_")) ? word("because", part.replaceAll(" ", "_")) : part)).join("; ");

export const who = ({ actor }) => (actor.kind !== "operator" && known("actor", actor.name.replaceAll(" ", "_")) ? word("actor", actor.name.replaceAll(" ", "_")) : shortName(actor));
