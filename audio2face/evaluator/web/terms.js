/**
 * Definitions of metrics beside their labels: under the pointer, on the focused label, and on a tap.
 */
import { element, make } from "./dom.js";

/** @typedef {import("./data.js").Data} Data */

const GAP = 8; // pixels between label and definition

const BETTER = {
  higher: "Higher is better.",
  lower: "Lower is better.",
  zero: "0 is best.",
  one: "1 is best.",
  descriptive: "Neither more nor less is better.",
};

/** @param {Data} data */
export function addTerms(data) {
  const tip = element("tip");
  /** @type {HTMLElement | null} the label whose definition is shown */
  let current = null;
  const hide = () => { tip.hidden = true; current = null; };
  for (const term of document.querySelectorAll("a.term")) {
    if (!(term instanceof HTMLElement)) continue;
    const metric = data.metrics[term.dataset.metric ?? ""];
    if (!metric) continue;
    const show = () => {
      tip.replaceChildren(
        make("b", {}, metric.unit ? `${metric.label}, ${metric.unit}` : metric.label),
        make("p", {}, metric.definition),
        make("p", {}, BETTER[metric.better]),
        ...(metric.source ? [make("p", { class: "source" }, `Source: ${metric.source}`)] : []),
      );
      tip.hidden = false;
      current = term;
      putBeside(tip, term);
    };
    term.setAttribute("aria-describedby", "tip");
    term.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && show());
    term.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && hide());
    term.addEventListener("focus", show);
    term.addEventListener("blur", hide);
    term.addEventListener("click", (event) => {
      if (event instanceof PointerEvent && event.pointerType === "touch") {
        event.preventDefault();
        show();
      }
    });
  }
  addEventListener("scroll", () => current && putBeside(tip, current), { passive: true, capture: true });
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

/** @param {HTMLElement} tip @param {HTMLElement} term */
function putBeside(tip, term) {
  const around = term.getBoundingClientRect();
  const { width, height } = tip.getBoundingClientRect();
  const below = around.bottom + GAP;
  const top = below + height > innerHeight ? Math.max(GAP, around.top - height - GAP) : below;
  tip.style.top = `${top}px`;
  tip.style.left = `${Math.max(GAP, Math.min(around.left, innerWidth - width - GAP))}px`;
}
