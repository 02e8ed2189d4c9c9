/**
 * Helpers that create elements of the page.
 */

/**
 * An element of the page, which must be there.
 * @param {string} id
 */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @type {Record<string, string>} paths in a square of 24 */
const ICONS = {
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M7 5.5h3.6v13H7zM13.4 5.5H17v13h-3.6z",
  start: "M6 5.5h2.4v13H6zM18.5 5.5v13L9 12z",
  back: "M14 5.5h2.4v13H14zM12.5 6.5v11L5 12z",
  forward: "M7.6 5.5H10v13H7.6zM11.5 6.5v11L19 12z",
  microphone: "M12 3.5a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0v-5a3 3 0 0 1 3-3zM6.2 11h1.7a4.1 4.1 0 0 0 8.2 0h1.7a5.8 5.8 0 0 1-4.95 5.74V20.5h-1.7v-3.76A5.8 5.8 0 0 1 6.2 11z",
  stop: "M7 7h10v10H7z",
  file: "M4 6.5h6l2 2h8v10H4z",
  record: "M12 6a6 6 0 1 1 0 12 6 6 0 0 1 0-12z",
  loop: "M7 7h9V4.2l4.2 3.8L16 11.8V9H9v3H7zM17 17H8v2.8L3.8 16 8 12.2V15h7v-3h2z",
};

/** @param {string} name @returns {SVGSVGElement} */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  drawing.append(path);
  return drawing;
}

/**
 * A time as minutes:seconds.
 * @param {number} seconds
 */
export function timeText(seconds) {
  const whole = Math.floor(seconds / 60);
  const rest = (seconds - 60 * whole).toFixed(3).padStart(6, "0");
  return `${whole}:${rest}`;
}
