// The periods that recorded usage is asked for. It must not know what is shown of it.

import { useEffect, useState } from "./dom.js";
import { narrow, useAddress } from "./address.js";
import { now } from "./time.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const LENGTHS = { "15m": 15 * MINUTE, "1h": HOUR, "6h": 6 * HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY };
const EVERY_MS = 5_000;
export const PERIODS = Object.keys(LENGTHS);

// A period ends at the next full minute, so that its address stays the same while nothing new can be counted.
const nextMinute = () => Math.ceil(now() / 60_000);

export function usePeriod(name) {
  const [minute, setMinute] = useState(nextMinute);
  useEffect(() => {
    const timer = setInterval(() => setMinute(nextMinute()), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const until = minute * 60;
  return { query: new URLSearchParams({ from: until - LENGTHS[name], to: until }).toString(), since: until - LENGTHS[name] };
}

// The period that the address names, and what changes it there.
export function useAskedPeriod(usual) {
  const { asked } = useAddress();
  const unknown = "period" in asked && !PERIODS.includes(asked.period);
  // The address says what is shown, also where it was asked for something else.
  useEffect(() => {
    if (unknown) narrow({ period: "" });
  }, [unknown]);
  return [PERIODS.includes(asked.period) ? asked.period : usual, (name) => narrow({ period: name === usual ? "" : name })];
}
