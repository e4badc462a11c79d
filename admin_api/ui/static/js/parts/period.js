// The choice of a period. It must not know of what.

import { html } from "../dom.js";
import { t } from "../i18n.js";
import { PERIODS } from "../period.js";
import { Segments } from "./basics.js";

export const PeriodChoice = ({ value, onChange }) => html`<${Segments} label=${t("cost.period")} value=${value} onChange=${onChange}
  options=${PERIODS.map((each) => [each, t(`period.${each}`)])} />`;
