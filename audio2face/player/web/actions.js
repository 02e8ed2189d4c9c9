/**
 * What buttons and keys do: a list of actions, each with its button, its keys, and a line of the help.
 */
import { element, icon, make } from "./dom.js";

/**
 * @typedef {object} Action
 * @property {string} label
 * @property {string} help
 * @property {string[]} keys values of `KeyboardEvent.key`, lower case
 * @property {() => void} run
 * @property {() => boolean} [on] whether it is on
 * @property {string} [icon] instead of the label
 */

const MOUSE = [
  ["Drag", "rotate the head"],
  ["Shift and drag, or right button", "move it"],
  ["Wheel, or two fingers", "zoom"],
  ["Double click", "reset the view"],
];
const KEY_NAMES = /** @type {Record<string, string>} */ ({
  " ": "Space", arrowleft: "←", arrowright: "→", arrowup: "↑", arrowdown: "↓", escape: "Esc", home: "Home", end: "End",
});

/**
 * @param {HTMLElement} parent
 * @param {Action} action
 * @returns {() => void} updates its pressed state
 */
export function addButton(parent, action) {
  const button = make("button", { type: "button", title: `${action.help} (${action.keys.map(keyName).join(" or ")})` });
  if (action.icon) {
    button.append(icon(action.icon));
    button.setAttribute("aria-label", action.label);
    button.classList.add("icon", action.icon);
  } else button.append(action.label);
  button.addEventListener("click", action.run);
  parent.append(button);
  return () => {
    if (!action.on) return;
    const pressed = String(action.on());
    if (button.getAttribute("aria-pressed") === pressed) return;
    button.setAttribute("aria-pressed", pressed);
    if (action.icon === "play") button.replaceChildren(icon(action.on() ? "pause" : "play"));
  };
}

/** @param {Action[]} actions */
export function listenToKeys(actions) {
  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === "SELECT") return;
    const key = event.key.toLowerCase();
    // A focused button handles the space bar itself.
    if (key === " " && target.tagName === "BUTTON") return;
    const pressed = event.shiftKey && key.startsWith("arrow") ? `shift+${key}` : key;
    const action = actions.find(({ keys }) => keys.includes(pressed));
    if (!action) return;
    event.preventDefault();
    action.run();
  });
}

/**
 * @param {Action[]} actions
 * @param {string[][]} [others] further things to do with the mouse, and what they do
 */
export function fillHelp(actions, others = []) {
  const help = /** @type {HTMLDialogElement} */ (element("help"));
  const rows = actions.map(({ keys, help: does }) => [keys.map(keyName).join(" or "), does]);
  const list = (/** @type {string[][]} */ items) =>
    make("dl", {}, ...items.flatMap(([name, does]) => [make("dt", {}, name), make("dd", {}, does)]));
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", () => help.close());
  help.append(make("h2", {}, "Keys and mouse"), make("div", { class: "columns" }, list(rows), list([...MOUSE, ...others])), close);
}

/** @param {string} key @returns {string} */
function keyName(key) {
  if (key.startsWith("shift+")) return `Shift ${keyName(key.slice(6))}`;
  return KEY_NAMES[key] ?? key.toUpperCase();
}
