// Which teams and keys there are to choose from: those of LiteLLM's database, of the access file, and whose requests were
// recorded. It must not know what they are chosen for.

import { useEffect, useState } from "./dom.js";
import { ask } from "./api.js";
import { live } from "./live.js";

const MONTH = 30 * 86_400;
const KEYS = 100;

// LiteLLM's own lists: it refuses them without a database, and to who may not see them. Then nothing is offered.
const orNothing = (path) => ask(path).then(({ data }) => data, () => null);

// Returns {team, key}: lists of {id, name}. `keys` are those of the access file, or null; where nothing is `wanted`, nobody is asked.
export function useSubjects(keys, wanted) {
  const [found, setFound] = useState({ team: [], key: [] });
  useEffect(() => {
    if (!wanted) return undefined;
    let current = true;
    load(keys ?? []).then((lists) => current && setFound(lists));
    return () => {
      current = false;
    };
  }, [keys, wanted]);
  return found;
}

async function load(fileKeys) {
  const since = Math.floor(live.get().at / 1000) - MONTH;
  const [teams, keys, used] = await Promise.all([
    orNothing("../team/list"), orNothing(`../key/list?return_full_object=true&size=${KEYS}`), orNothing(`usage?by=team&from=${since}`),
  ]);
  return {
    team: distinct([
      ...list(teams).map(({ team_id: id, team_alias: name }) => ({ id, name: name ?? id })),
      ...fileKeys.filter(({ team }) => team).map(({ team }) => ({ id: team, name: team })),
      ...(used?.lines ?? []).filter(({ names }) => names.team).map(({ names }) => ({ id: names.team, name: names.team })),
    ]),
    key: distinct([
      ...list(keys?.keys).filter((key) => key?.token).map(({ token: id, key_alias: alias, key_name: name, team_id: team }) => ({ id, name: alias ?? name ?? id, team })),
      ...fileKeys.map(({ name, team }) => ({ id: name, name, team })),
    ]),
  };
}

const list = (value) => (Array.isArray(value) ? value : []);

function distinct(entries) {
  const known = new Map();
  for (const entry of entries) if (!known.has(entry.id)) known.set(entry.id, entry);
  return [...known.values()].sort((a, b) => a.name.localeCompare(b.name));
}
