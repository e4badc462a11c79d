// What time it is where the figures are counted: the browser's clock may be an hour off. It must not know who asks.

const SURE_MS = 2_000; // the header tells whole seconds, and the answer was on its way
let ahead = 0;

// Milliseconds since 1970 by the proxy's clock.
export const now = () => Date.now() + ahead;

// Takes the time from an answer to what was asked at `asked`, by the browser's clock.
export function hearTime(answer, asked) {
  const heard = Date.parse(answer.headers.get("Date"));
  const travelled = Date.now() - asked;
  const found = heard + 500 - (asked + travelled / 2);
  if (Math.abs(found - ahead) > SURE_MS + travelled / 2) ahead = Math.abs(found) > SURE_MS + travelled / 2 ? found : 0;
}
