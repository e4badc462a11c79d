// The frame around every screen: header, navigation, sign-in, and which screen the address names.
// It must not know what a screen shows.

import { html, useEffect, useLayoutEffect, useRef } from "./dom.js";
import { useAddress } from "./address.js";
import { LANGUAGES, preferences, prefer, t, THEMES } from "./i18n.js";
import { refresh, signOut, useLive } from "./live.js";
import { AsOf, Button, Failure, Loading } from "./parts/basics.js";
import { Access } from "./screens/access.js";
import { Audit } from "./screens/audit.js";
import { Charts } from "./screens/charts.js";
import { Cost } from "./screens/cost.js";
import { Mappings } from "./screens/mappings.js";
import { Matrix } from "./screens/matrix.js";
import { Now } from "./screens/now.js";
import { Routing } from "./screens/routing.js";
import { SignIn, SignInAgain } from "./screens/sign_in.js";
import { Workers } from "./screens/workers.js";
import { embedded } from "./session.js";
import { useStore } from "./store.js";

const ICON = new URL("../icon.svg", import.meta.url).href;
const SCREENS = {
  now: Now, charts: Charts, mappings: Mappings, matrix: Matrix, routing: Routing, cost: Cost, audit: Audit, workers: Workers, access: Access,
};

const screenOf = (name) => (Object.hasOwn(SCREENS, name) ? name : "now");

export function App() {
  const { language, theme } = useStore(preferences);
  const state = useLive();
  const screen = screenOf(useAddress().screen);
  const inside = state.signedIn && !state.ended;

  useLayoutEffect(() => {
    document.documentElement.lang = language;
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    document.title = `${t(inside ? `nav.${screen}` : "sign.title")} \u00b7 neuronode`;
  }, [language, theme, screen, inside]);

  return html`
    <a class="skip" href="#main" onClick=${skip}>${t("nav.skip")}</a>
    <${Header} state=${state} language=${language} theme=${theme} />
    <div id="said" class="hidden" role="status" aria-live="polite"></div>
    ${state.signedIn ? html`<${Inside} key=${state.session} state=${state} screen=${screen} />` : html`<main id="main" class="alone" tabindex="-1"><${SignIn} /></main>`}
    ${state.ended && html`<${SignInAgain} />`}`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function Header({ state, language, theme }) {
  const nextTheme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  return html`<header class="bar">
    <span class="brand">${!embedded && html`<img src=${ICON} alt="" width="24" height="24" />`}<span class="brand-name">neuronode</span></span>
    ${state.signedIn && html`<${Connection} state=${state} />`}
    <span class="grow"></span>
    <select class="quiet" aria-label=${t("bar.language")} value=${language} onChange=${(event) => prefer("language", event.target.value)}>
      ${Object.entries(LANGUAGES).map(([id, name]) => html`<option value=${id} selected=${id === language}>${name}</option>`)}
    </select>
    <button type="button" class="quiet" aria-label=${t("bar.theme", { now: t(`theme.${theme}`) })} onClick=${() => prefer("theme", nextTheme)}><span aria-hidden="true">\u25d0</span> <span class="theme-name">${t(`theme.${theme}`)}</span></button>
    ${state.signedIn && html`<button type="button" class="quiet" onClick=${() => signOut()}>${t("bar.sign_out")}</button>`}
  </header>`;
}

function Connection({ state }) {
  const kind = state.failure ? "lost" : state.connection;
  return html`<span class=${`connection ${kind}`} title=${t(`connection.${kind}.hint`)}><i aria-hidden="true"></i><span>${t(`connection.${kind}`)}</span></span>`;
}

function Inside({ state, screen }) {
  const Screen = SCREENS[screen];
  const main = useRef(null);
  const nav = useRef(null);
  const told = useRef(state.entered ? null : screen); // the screen whose heading had the focus
  const shown = state.status !== null;
  useEffect(() => {
    // Where the tabs scroll, the one in use is never out of sight, also after a phone was turned.
    const center = () => {
      const here = nav.current.querySelector("[aria-current]");
      nav.current.scrollTo({ left: here.offsetLeft - (nav.current.clientWidth - here.offsetWidth) / 2 });
    };
    center();
    window.scrollTo(0, 0);
    window.addEventListener("resize", center);
    return () => window.removeEventListener("resize", center);
  }, [screen]);
  useEffect(() => {
    // After a sign-in or a move the new heading gets the focus, so that a screen reader says where one is.
    if (shown && told.current !== screen) {
      told.current = screen;
      main.current.querySelector("h1")?.focus();
    }
  }, [screen, shown]);
  return html`<div class="inside">
    <nav ref=${nav} aria-label=${t("nav.label")}>${Object.keys(SCREENS).map((name) => html`
      <a key=${name} href=${`#/${name}`} aria-current=${name === screen ? "page" : undefined}>${t(`nav.${name}`)}</a>`)}</nav>
    <main id="main" ref=${main} tabindex="-1">
      ${state.failure && html`<${Failure} error=${state.failure} again>${shown && html`<p><${AsOf} at=${state.at} /></p>`}<${Button} onClick=${refresh}>${t("act.retry")}<//><//>`}
      ${!shown ? !state.failure && html`<${Loading} rows=${6} />` : html`<${Screen} key=${screen} state=${state} />`}
    </main></div>`;
}
