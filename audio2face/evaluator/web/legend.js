/**
 * Buttons that show and hide subjects in a plot; each carries the subject's colour and mark.
 */
import { drawn, make } from "./dom.js";

/** @typedef {import("./data.js").Subject} Subject */

/** Marks by place, so that colour is not the only sign. A square of 10 around 0. */
const MARKS = [
  "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
  "M-4-4h8v8h-8z",
  "M0-5.5L5.5 0L0 5.5L-5.5 0z",
  "M0-5L5 4H-5z",
  "M0 5L5-4H-5z",
  "M-5-1.6h3.4V-5h3.2v3.4H5v3.2H1.6V5h-3.2V1.6H-5z",
];

/**
 * The mark of a subject.
 * @param {string} style such as "s0"
 */
export function mark(style) {
  return drawn("path", { d: MARKS[Number(style.slice(1)) % MARKS.length], class: `mark ${style}` });
}

/**
 * @param {Subject[]} subjects
 * @param {Set<number>} shown places of the subjects that are drawn; the buttons change it
 * @param {() => void} changed
 * @param {boolean} lines whether samples are lines in place of marks
 */
export function legend(subjects, shown, changed, lines = false) {
  const buttons = subjects.map((subject, place) => {
    const button = make("button", { type: "button", "aria-pressed": String(shown.has(place)) }, sample(subject.style, lines), subject.name);
    button.addEventListener("click", () => {
      if (!shown.delete(place)) shown.add(place);
      button.setAttribute("aria-pressed", String(shown.has(place)));
      changed();
    });
    return button;
  });
  return make("div", { class: "legend", role: "group", "aria-label": "Subjects that are shown" }, ...buttons);
}

/** @param {string} style @param {boolean} line */
export function sample(style, line) {
  const inner = line ? drawn("path", { d: "M1 6H25", class: `curve ${style}` }) : drawn("g", { transform: "translate(13 6)" }, mark(style));
  return drawn("svg", { class: "sample", width: 26, height: 12, "aria-hidden": "true" }, inner);
}
