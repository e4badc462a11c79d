// The periods that recorded usage is asked for. It must not know what is shown of it.

import { useEffect, useState } from "./dom.js";

const HOUR = 3_600;
export const DAY = 24 * HOUR;
const LENGTHS = { day: [DAY, HOUR], week: [7 * DAY, DAY], month: [30 * DAY, DAY] };
const EVERY_MS = 5_000;
export const PERIODS = Object.keys(LENGTHS);

// A period ends at the next full minute, so that its address stays the same while nothing new can be counted.
const nextMinute = () => Math.ceil(Date.now() / 60_000);

export function usePeriod(name) {
  const [minute, setMinute] = useState(nextMinute);
  useEffect(() => {
    const timer = setInterval(() => setMinute(nextMinute()), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const [length, step] = LENGTHS[name];
  return { query: new URLSearchParams({ from: minute * 60 - length, to: minute * 60 }).toString(), step };
}
