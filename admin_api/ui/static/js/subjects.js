// Which teams and keys there are to choose from: those of LiteLLM's database, of the access file, and whose requests were
// recorded. It must not know what they are chosen for.

import { useMemo } from "./dom.js";
import { useData } from "./data.js";
import { useLive } from "./live.js";
import { now } from "./time.js";

const MONTH = 30 * 86_400;
const KEYS = 100;

// Returns {team, key}: lists of {id, name} and for keys `team`; and `complete`: whether there are no other keys than these. `file` are
// the keys of the access file, or null; where nothing is `wanted` nobody is asked, and LiteLLM only where it has a database.
export function useSubjects(file, wanted) {
  const { status } = useLive();
  const since = useMemo(() => Math.floor(now() / 1000) - MONTH, []);
  const database = wanted && status.host?.database === "on";
  const teams = useData(database ? "../team/list" : null).data;
  const keys = useData(database ? `../key/list?return_full_object=true&size=${KEYS}` : null).data;
  const used = useData(wanted ? `usage?by=team&from=${since}` : null).data;
  return useMemo(() => ({ ...listed(file ?? [], teams, keys, used), complete: database ? keys?.total_count <= KEYS : file !== null }), [file, teams, keys, used, database]);
}

function listed(file, teams, keys, used) {
  return {
    team: distinct([
      ...list(teams).map(({ team_id: id, team_alias: name }) => ({ id, name: name ?? id })),
      ...file.filter(({ team }) => team).map(({ team }) => ({ id: team, name: team })),
      ...(used?.lines ?? []).filter(({ names }) => names.team).map(({ names }) => ({ id: names.team, name: names.team })),
    ]),
    key: distinct([
      ...list(keys?.keys).filter((key) => key?.token).map(({ token: id, key_alias: alias, key_name: name, team_id: team }) => ({ id, name: alias ?? name ?? id, team })),
      ...file.map(({ name, team }) => ({ id: name, name, team })),
    ]),
  };
}

const list = (value) => (Array.isArray(value) ? value : []);

function distinct(entries) {
  const known = new Map();
  for (const entry of entries) if (!known.has(entry.id)) known.set(entry.id, entry);
  return [...known.values()].sort((a, b) => a.name.localeCompare(b.name));
}
