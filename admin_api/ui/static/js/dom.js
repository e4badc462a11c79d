// The few things of Preact and htm that the page uses. Nothing else imports them.

import htm from "../vendor/htm.js";
import { h } from "../vendor/preact.js";

export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export { render } from "../vendor/preact.js";
export const html = htm.bind(h);
