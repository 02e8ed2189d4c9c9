/**
 * Buttons and keys.
 */
import { addButton, fillHelp, listenToKeys } from "./actions.js";
import { element, make, timeText } from "./dom.js";

/** @typedef {import("./player.js").Player} Player */

/** @typedef {import("./actions.js").Action} Action */

const RATES = [0.25, 0.5, 0.75, 1, 1.5, 2];
const QUARTER = Math.PI / 2;
const TIMELINE = [
  ["Drag on the curves", "seek"],
  ["Shift and drag there", "select a range to play"],
];

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
  fillHelp(Object.values(groups).flat(), TIMELINE);
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
