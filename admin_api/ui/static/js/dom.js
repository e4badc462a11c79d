// The few things of Preact and htm that the page uses. Nothing else imports them.

import htm from "../vendor/htm.js";
import { h } from "../vendor/preact.js";

export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export { render } from "../vendor/preact.js";
export const html = htm.bind(h);

// A component that is drawn anew only where a property is another one: for what there is thousands of.
export function steady(draw) {
  function changed(next) {
    return Object.keys({ ...this.props, ...next }).some((name) => this.props[name] !== next[name]);
  }
  return function Steady(props) {
    this.shouldComponentUpdate = changed;
    return draw(props);
  };
}
