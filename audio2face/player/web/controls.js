/**
 * Buttons and keys.
 */
import { element, icon, make, timeText } from "./dom.js";

/** @typedef {import("./player.js").Player} Player */

/**
 * @typedef {object} Action
 * @property {string} label
 * @property {string} help
 * @property {string[]} keys values of `KeyboardEvent.key`, lower case
 * @property {() => void} run
 * @property {() => boolean} [on] whether it is on
 * @property {string} [icon] instead of the label
 */

const RATES = [0.25, 0.5, 0.75, 1, 1.5, 2];
const QUARTER = Math.PI / 2;
const MOUSE = [
  ["Drag", "rotate the head"],
  ["Shift and drag, or right button", "move it"],
  ["Wheel, or two fingers", "zoom"],
  ["Double click", "reset the view"],
  ["Drag on the curves", "seek"],
  ["Shift and drag there", "select a range to play"],
];
const KEY_NAMES = /** @type {Record<string, string>} */ ({
  " ": "Space", arrowleft: "←", arrowright: "→", arrowup: "↑", arrowdown: "↓", escape: "Esc", home: "Home", end: "End",
});

/** @param {Player} player */
export function addControls(player) {
  element("title").textContent = player.description.title;
  const groups = actionsOf(player);
  const refreshers = Object.entries(groups).flatMap(([id, actions]) => {
    const parent = document.getElementById(id);
    return parent ? actions.map((action) => addButton(parent, action)) : [];
  });
  refreshers.push(addRate(player), addReadout(player));
  listenToKeys(Object.values(groups).flat());
  fillHelp(Object.values(groups).flat());
  player.canvas.addEventListener("dblclick", () => player.camera.lookFrom(0, 0));
  if (innerWidth < 900) document.body.classList.add("without-panel");
  player.onUpdate(() => refreshers.forEach((refresh) => refresh()));
}

/**
 * All actions by their group of buttons; "keys" has no buttons.
 * @param {Player} player
 * @returns {Record<string, Action[]>}
 */
function actionsOf(player) {
  return { views: views(player), displays: displayModes(player), "page-tools": tools(player), transport: transport(player), keys: others(player) };
}

/** @param {Player} player @returns {Action[]} */
function views(player) {
  const { clips, options } = player;
  if (clips.length < 2) return [];
  const choices = [[0], [0, 1], [1]];
  const labels = [clips[0].label, "Side by side", clips[1].label];
  return choices.map((shown, index) => ({
    label: labels[index],
    help: index === 1 ? "both faces side by side" : `${labels[index]} alone`,
    keys: [String(index + 1)],
    run: () => player.set({ shown }),
    on: () => String(options.shown) === String(shown),
  }));
}

/** @param {Player} player @returns {Action[]} */
function displayModes(player) {
  const { options, errors, clips } = player;
  const heat = () => player.set({ heat: !options.heat, shown: options.shown.includes(0) ? options.shown : [0, 1] });
  const edges = () => player.set({ edges: !options.edges });
  const glass = () => player.set({ glass: !options.glass });
  /** @type {(Action & { offered: boolean })[]} */
  const all = [
    { label: "Heat map", help: "colours show the distance from the other face", keys: ["h"], run: heat, on: () => options.heat, offered: Boolean(errors) },
    { label: "Wireframe", help: "edges of the mesh", keys: ["w"], run: edges, on: () => options.edges, offered: clips[0].skin.numCorners > 0 },
    { label: "Glass", help: "transparent skin, to see tongue and teeth", keys: ["g"], run: glass, on: () => options.glass, offered: clips[0].skin.numCorners > 0 },
  ];
  return all.filter(({ offered }) => offered);
}

/** @param {Player} player @returns {Action[]} */
function tools(player) {
  const { camera } = player;
  const { classList } = document.body;
  const help = /** @type {HTMLDialogElement} */ (element("help"));
  const side = () => camera.lookFrom(camera.yaw === QUARTER / 2 ? QUARTER : QUARTER / 2, 0);
  const details = () => {
    classList.toggle("without-panel");
    player.requestRedraw();
  };
  /** @type {Action[]} */
  const found = [
    { label: "Front", help: "from the front", keys: ["f"], run: () => camera.lookFrom(0, 0) },
    { label: "Side", help: "three quarters, then in profile", keys: ["s"], run: side },
    { label: "Details", help: "emotion, weights, settings", keys: ["d"], run: details, on: () => !classList.contains("without-panel") },
    { label: "Keys", help: "this list", keys: ["?"], run: () => (help.open ? help.close() : help.showModal()) },
  ];
  if (player.description.clips[0].mouth) {
    found.splice(2, 0, { label: "Mouth", help: "close to the mouth, and back", keys: ["m"], run: () => player.toggleMouthCloseUp() });
  }
  return found;
}

/** @param {Player} player @returns {Action[]} */
function transport(player) {
  const { clock } = player;
  return [
    { label: "To the start", icon: "start", help: "to the start", keys: ["home"], run: () => player.seek(clock.span()[0]) },
    { label: "One frame back", icon: "back", help: "one frame back", keys: ["arrowleft", ","], run: () => player.step(-1) },
    { label: "Play", icon: "play", help: "play or pause", keys: [" ", "k"], run: () => void player.toggle(), on: () => clock.playing },
    { label: "One frame forward", icon: "forward", help: "one frame forward", keys: ["arrowright", "."], run: () => player.step(1) },
    { label: "Loop", icon: "loop", help: "loop", keys: ["l"], run: () => { clock.loop = !clock.loop; player.requestRedraw(); }, on: () => clock.loop },
  ];
}

/** @param {Player} player @returns {Action[]} */
function others(player) {
  const { clock, description } = player;
  const second = Math.round(description.fps);
  return [
    { label: "", help: "one second back", keys: ["shift+arrowleft"], run: () => player.step(-second) },
    { label: "", help: "one second forward", keys: ["shift+arrowright"], run: () => player.step(second) },
    { label: "", help: "to the end", keys: ["end"], run: () => player.step(description.frames) },
    { label: "", help: "faster", keys: ["arrowup"], run: () => stepRate(player, 1) },
    { label: "", help: "slower", keys: ["arrowdown"], run: () => stepRate(player, -1) },
    { label: "", help: "finer scale of the heat map", keys: ["["], run: () => player.stepHeatTop(-1) },
    { label: "", help: "coarser scale of the heat map", keys: ["]"], run: () => player.stepHeatTop(1) },
    { label: "", help: "clear the selection", keys: ["escape"], run: () => { clock.range = null; player.requestRedraw(); } },
  ];
}

/** @param {Player} player @param {number} steps */
function stepRate(player, steps) {
  const index = RATES.indexOf(player.clock.rate) + steps;
  player.clock.setRate(RATES[Math.max(0, Math.min(RATES.length - 1, index))]);
  player.requestRedraw();
}

/**
 * @param {HTMLElement} parent
 * @param {Action} action
 * @returns {() => void} updates its pressed state
 */
function addButton(parent, action) {
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

/** @param {Player} player */
function addRate(player) {
  const choice = make("select", { "aria-label": "Speed", title: "speed (↑, ↓)" });
  for (const rate of RATES) choice.append(make("option", { value: String(rate) }, `${rate} ×`));
  choice.addEventListener("change", () => {
    player.clock.setRate(Number(choice.value));
    player.canvas.focus();
  });
  element("transport").append(choice);
  return () => {
    choice.value = String(player.clock.rate);
  };
}

/** @param {Player} player */
function addReadout(player) {
  const { fps, frames, seconds } = player.description;
  const now = make("b");
  const time = make("output", { class: "time" }, now, make("span", {}, ` / ${timeText(seconds)}`));
  const frame = make("output", { class: "frame" });
  element("transport").append(time, frame);
  return () => {
    now.textContent = timeText(player.clock.time);
    frame.textContent = `frame ${player.frame} of ${frames - 1} · ${Number(fps.toFixed(3))} fps`;
  };
}

/** @param {Action[]} actions */
function listenToKeys(actions) {
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

/** @param {Action[]} actions */
function fillHelp(actions) {
  const help = /** @type {HTMLDialogElement} */ (element("help"));
  const rows = actions.map(({ keys, help: does }) => [keys.map(keyName).join(" or "), does]);
  const list = (/** @type {string[][]} */ items) =>
    make("dl", {}, ...items.flatMap(([name, does]) => [make("dt", {}, name), make("dd", {}, does)]));
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", () => help.close());
  help.append(make("h2", {}, "Keys and mouse"), make("div", { class: "columns" }, list(rows), list(MOUSE)), close);
}

/** @param {string} key @returns {string} */
function keyName(key) {
  if (key.startsWith("shift+")) return `Shift ${keyName(key.slice(6))}`;
  return KEY_NAMES[key] ?? key.toUpperCase();
}
