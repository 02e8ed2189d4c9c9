/**
 * Opens the page that listens: loads model and runtime, builds the picture and the controls, and draws.
 */
import { addButton, fillHelp, listenToKeys } from "../../player/web/actions.js";
import { Clip } from "../../player/web/clip.js";
import { element, icon, make } from "../../player/web/dom.js";
import { Stage } from "../../player/web/stage.js";
import { loadFace } from "./face.js";
import { Live } from "./live.js";
import { addPanel } from "./panel.js";
import { microphoneObstacle } from "./sound.js";
import { addStrip } from "./strip.js";

/** @typedef {import("../../player/web/actions.js").Action} Action */
/** @typedef {Stage<Clip>} Picture */

const PROGRAM = new URL(".", import.meta.url);
const BASE = new URL("../../../", PROGRAM);
const QUARTER = Math.PI / 2;

async function open() {
  const model = new URL("model/", BASE);
  const { face, payload } = await loadFace(model);
  const live = await Live.open(face, payload, { program: PROGRAM, model, runtime: new URL("onnxruntime/", BASE) });
  const canvas = /** @type {HTMLCanvasElement} */ (element("view"));
  const stage = new Stage(canvas, { side: Infinity, layers: Infinity }, (deformer) =>
    [new Clip(deformer, { ...face, label: face.actor }, payload, live.motion)]);
  const refreshers = [addPanel(live, element("panel")), addStrip(live, element("strip")), addTransport(live), addViews(stage, live)];
  canvas.addEventListener("dblclick", () => stage.camera.lookFrom(0, 0));
  addDrop(live);
  if (innerWidth < 900) document.body.classList.add("without-panel");
  element("status").hidden = true;
  live.addEventListener("failed", (event) => complain(/** @type {CustomEvent} */ (event).detail));
  live.addEventListener("behind", () => complain("This machine is too slow for the network: speech is left out. Close other programs."));
  const loop = () => {
    live.advance();
    stage.show(live.number, true);
    refreshers.forEach((refresh) => refresh());
    requestAnimationFrame(loop);
  };
  loop();
  return { live, stage };
}

/** @param {string} text */
function complain(text) {
  const alert = element("alert");
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", () => { alert.hidden = true; });
  alert.replaceChildren(text, close);
  alert.hidden = false;
}

/** Runs what may fail, and says why it did. @param {() => Promise<void>} run */
async function attempt(run) {
  element("alert").hidden = true;
  try {
    await run();
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
  }
}

/** Microphone, recording, take. @param {Live} live */
function addTransport(live) {
  const bar = element("transport");
  const microphone = make("button", { type: "button", class: "primary", title: "listen to the microphone (Space)" });
  const devices = make("select", { "aria-label": "Microphone", title: "which microphone" });
  const file = make("input", { type: "file", accept: "audio/*,video/*", hidden: "" });
  const choose = make("button", { type: "button", class: "secondary", title: "play a recording (O)" }, icon("file"), "Recording");
  const record = make("button", { type: "button", class: "secondary record", title: "record a take (R)" });
  const source = make("span", { class: "source" });
  devices.hidden = true;
  bar.append(microphone, choose, file, record, devices, source);
  const obstacle = microphoneObstacle();
  if (obstacle) complain(obstacle);
  const listen = () => attempt(async () => {
    if (live.listening) live.stop();
    else {
      await live.listen(devices.value);
      await listDevices(devices);
    }
  });
  microphone.addEventListener("click", listen);
  devices.addEventListener("change", () => attempt(() => live.listen(devices.value)));
  choose.addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    const [chosen] = file.files ?? [];
    if (chosen) void attempt(() => live.play(chosen, chosen.name));
    file.value = "";
  });
  record.addEventListener("click", () => toggleTake(live));
  listenToKeys([
    { label: "", help: "listen, or stop", keys: [" "], run: () => { if (!microphone.disabled) void listen(); } },
    { label: "", help: "play a recording", keys: ["o"], run: () => file.click() },
    { label: "", help: "record a take, or end it", keys: ["r"], run: () => toggleTake(live) },
  ]);
  live.addEventListener("full", (event) => live.dispatchEvent(new CustomEvent("taken", { detail: /** @type {CustomEvent} */ (event).detail })));
  return () => {
    microphone.disabled = Boolean(obstacle) && !live.listening;
    refreshTransport(live, microphone, record, source);
  };
}

/** @param {Live} live @param {HTMLElement} microphone @param {HTMLElement} record @param {HTMLElement} source */
function refreshTransport(live, microphone, record, source) {
  const take = live.take;
  press(microphone, live.listening, live.listening ? "stop" : "microphone", live.listening ? "Stop" : "Microphone");
  press(record, Boolean(take), take ? "stop" : "record", take ? `End take ${take.seconds.toFixed(0)} s` : "Record");
  source.textContent = live.sound.source?.name ?? "";
  const badge = element("badge");
  badge.hidden = !live.listening && !take;
  badge.className = `badge ${take ? "recording" : "listening"}`;
  badge.textContent = take ? "Recording" : live.sound.source?.kind === "file" ? "Playing" : "Listening";
}

/** @param {HTMLElement} button @param {boolean} on @param {string} picture @param {string} label */
function press(button, on, picture, label) {
  const state = `${on} ${label}`;
  if (button.dataset.state === state) return;
  button.dataset.state = state;
  button.setAttribute("aria-pressed", String(on));
  button.replaceChildren(icon(picture), label);
}

/** @param {Live} live */
function toggleTake(live) {
  if (!live.take) {
    live.record();
    return;
  }
  const take = live.finishTake();
  document.body.classList.remove("without-panel");
  if (take?.frames.length) live.dispatchEvent(new CustomEvent("taken", { detail: take }));
}

/** The microphones, whose names a browser tells after one was allowed. @param {HTMLSelectElement} devices */
async function listDevices(devices) {
  const found = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind, deviceId }) => kind === "audioinput" && deviceId);
  const chosen = devices.value;
  devices.replaceChildren(...found.map(({ deviceId, label }) => make("option", { value: deviceId }, label || "Microphone")));
  if (found.some(({ deviceId }) => deviceId === chosen)) devices.value = chosen;
  devices.hidden = found.length < 2;
}

/** Recordings that are dropped on the page. @param {Live} live */
function addDrop(live) {
  const { classList } = document.body;
  addEventListener("dragover", (event) => {
    event.preventDefault();
    classList.add("dropping");
  });
  addEventListener("dragleave", () => classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    classList.remove("dropping");
    const [file] = event.dataTransfer?.files ?? [];
    if (file) void attempt(() => live.play(file, file.name));
  });
}

/** Buttons of the view. @param {Picture} stage @param {Live} live */
function addViews(stage, live) {
  const { camera, options } = stage;
  const { classList } = document.body;
  const help = /** @type {HTMLDialogElement} */ (element("help"));
  const solid = stage.clips[0].skin.numCorners > 0;
  /** @type {Action[]} */
  const displays = !solid ? [] : [
    { label: "Wireframe", help: "edges of the mesh", keys: ["w"], run: () => stage.set({ edges: !options.edges }), on: () => options.edges },
    { label: "Glass", help: "transparent skin, to see tongue and teeth", keys: ["g"], run: () => stage.set({ glass: !options.glass }), on: () => options.glass },
  ];
  /** @type {Action[]} */
  const tools = [
    { label: "Front", help: "from the front", keys: ["f"], run: () => camera.lookFrom(0, 0) },
    { label: "Side", help: "three quarters, then in profile", keys: ["s"], run: () => camera.lookFrom(camera.yaw === QUARTER / 2 ? QUARTER : QUARTER / 2, 0) },
    { label: "Mouth", help: "close to the mouth, and back", keys: ["m"], run: () => stage.toggleCloseUp(live.face.mouth) },
    { label: "Details", help: "delay, emotion, blend shapes, take", keys: ["d"], run: () => { classList.toggle("without-panel"); stage.requestRedraw(); }, on: () => !classList.contains("without-panel") },
    { label: "Keys", help: "this list", keys: ["?"], run: () => (help.open ? help.close() : help.showModal()) },
  ];
  const shown = tools.filter(({ label }) => label !== "Mouth" || live.face.mouth);
  const refreshers = [...displays.map((action) => addButton(element("displays"), action)), ...shown.map((action) => addButton(element("page-tools"), action))];
  listenToKeys([...displays, ...shown]);
  fillHelp([{ label: "", help: "listen to the microphone, or stop", keys: [" "], run: () => {} }, { label: "", help: "play a recording", keys: ["o"], run: () => {} },
    { label: "", help: "record a take, or end it", keys: ["r"], run: () => {} }, ...displays, ...shown]);
  return () => refreshers.forEach((refresh) => refresh());
}

/** The scripting interface, `window.live`: `ready` gives the face and its picture. */
const api = { ready: open() };
api.ready.catch((/** @type {Error} */ error) => {
  element("status").classList.add("failed");
  element("status-text").textContent = error.message;
  document.querySelector(".overdue")?.remove();
  console.error(error);
});
api.ready.then((opened) => Object.assign(api, opened), () => {});
Object.assign(window, { live: api });
