/**
 * The panel beside the picture: delays, emotion, blend shapes, the take.
 */
import { make, timeText } from "../../player/web/dom.js";
import { outputDelay } from "./live.js";

/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./take.js").Take} Take */

// Shapes that speech and expression move most; of a set without them the first ones are shown.
const SHOWN = ["jawOpen", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthPressLeft", "mouthRollLower", "mouthLowerDownLeft",
  "mouthUpperUpLeft", "mouthStretchLeft", "browInnerUp", "eyeBlinkLeft", "cheekSquintLeft"];
const UPDATE = 250; // milliseconds between two changes of the numbers

/** @param {Live} live @param {HTMLElement} panel */
export function addPanel(live, panel) {
  const latency = addLatency(live, panel);
  addEmotion(live, panel);
  const bars = addBars(live, panel);
  addTake(live, panel);
  panel.append(make("h2", {}, "Privacy"), make("p", { class: "meaning" },
    "The sound of the microphone stays in this page: it is computed here, and neither sent nor stored. A take is kept until the "
    + "page is closed; a file leaves it when you save one."));
  let last = -Infinity;
  return () => {
    bars();
    if (performance.now() - last < UPDATE) return;
    last = performance.now();
    latency();
  };
}

/** @param {Live} live @param {HTMLElement} panel */
function addLatency(live, panel) {
  const { samplerate, lookahead } = live.face.network;
  const ms = (/** @type {number} */ value) => (Number.isFinite(value) ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : "–");
  const range = (/** @type {import("./live.js").Recent} */ times) => (times.count ? `${times.quantile(0.5).toFixed(1)} – ${times.quantile(0.95).toFixed(1)} ms` : "–");
  const { times } = live;
  const source = () => live.sound.source;
  /** @type {[string, string, () => string][]} */
  const rows = [
    ["Capture", "blocks of sound, and the microphone's own delay where the browser states it", () => ms(10 + 1000 * (source()?.captureDelay ?? 0))],
    ["Look-ahead", "sound after a frame that the network waits for", () => ms((1000 * lookahead) / samplerate)],
    ["Network", "computation of a frame: median, and 95th percentile", () => range(times.network)],
    ["Face", "post-processing and blend shapes of a frame: median, and 95th percentile", () => range(times.face)],
    ["Jitter buffer", "how late sound and network may be before a frame holds the one before", () => ms(1000 * live.slack)],
    ["Sound output", "the loudspeakers' own delay, as the browser states it", () => { const now = source(); return now ? ms(1000 * outputDelay(now.context)) : "–"; }],
  ];
  const values = rows.map(() => make("dd"));
  const sum = make("dd", { class: "sum" });
  const gaps = make("dd");
  panel.append(make("h2", {}, "Delay"), make("dl", { class: "pairs" },
    ...rows.flatMap(([name, help], index) => [make("dt", { title: help }, name), values[index]]),
    make("dt", { class: "sum", title: "from the moment a sound is captured to the drawing of its frame" }, "Face behind the sound"), sum,
    make("dt", { title: "frames that held the one before, and frames that were not drawn" }, "Held, not drawn"), gaps));
  return () => {
    rows.forEach(([, , text], index) => { values[index].textContent = text(); });
    sum.textContent = live.listening ? ms(times.age.quantile(0.5)) : "–";
    gaps.textContent = `${live.session.held}, ${live.late}`;
  };
}

/** @param {Live} live @param {HTMLElement} panel */
function addEmotion(live, panel) {
  const { emotions, emotion } = live.face.network;
  if (!emotions.length) return;
  const vector = Float32Array.from(emotion);
  const rows = emotions.flatMap((name, index) => {
    const slider = make("input", { type: "range", min: "0", max: "1", step: "0.05", value: String(vector[index]), id: `emotion-${index}` });
    const value = make("output", { for: slider.id }, vector[index].toFixed(2));
    slider.addEventListener("input", () => {
      vector[index] = Number(slider.value);
      value.textContent = vector[index].toFixed(2);
      live.feel(vector.slice());
    });
    return [make("label", { for: slider.id }, name), slider, value];
  });
  panel.append(make("h2", {}, "Emotion"), make("div", { class: "sliders" }, ...rows));
}

/** @param {Live} live @param {HTMLElement} panel */
function addBars(live, panel) {
  const names = live.face.weights?.names ?? [];
  if (!names.length) return () => {};
  const known = SHOWN.map((name) => names.findIndex((other) => other.toLowerCase() === name.toLowerCase())).filter((index) => index >= 0);
  const columns = known.length ? known : [...names.keys()].slice(0, SHOWN.length);
  const bars = columns.map((column) => ({ column, fill: make("i"), number: make("b") }));
  panel.append(make("h2", {}, "Blend shapes", make("small", {}, `${bars.length} of ${names.length}`)), make("ul", { class: "bars" },
    ...bars.map(({ column, fill, number }) => make("li", {}, make("span", {}, names[column]), make("div", {}, fill), number))));
  return () => {
    const { weights } = live.motion.pose;
    for (const { column, fill, number } of bars) {
      const value = weights?.[column] ?? 0;
      fill.style.transform = `scaleX(${Math.max(0, Math.min(1, value))})`;
      number.textContent = value.toFixed(2);
    }
  };
}

/** @param {Live} live @param {HTMLElement} panel */
function addTake(live, panel) {
  const about = make("p", { class: "meaning" }, "Record starts a take: what is said and how the face moves.");
  const files = make("div", { class: "take-files" });
  panel.append(make("h2", {}, "Take"), about, files);
  live.addEventListener("taken", (event) => {
    const take = /** @type {Take} */ (/** @type {CustomEvent} */ (event).detail);
    about.textContent = `${timeText(take.seconds)}, ${take.frames.length} frames. Save it as:`;
    files.replaceChildren(...saveButtons(take, live.face, about));
    files.scrollIntoView({ block: "nearest" });
  });
}

/** @param {Take} take @param {import("./face.js").PageDescription} face @param {HTMLElement} about */
function saveButtons(take, face, about) {
  const name = `${face.actor}_take`;
  /** @type {[string, string, () => Blob | null][]} */
  const local = [
    ["ARKit CSV", `${name}_arkit.csv`, () => textBlob(take.csv(), "text/csv")],
    ["JSON", `${name}.json`, () => textBlob(take.json(), "application/json")],
    ["Sound (WAV)", `${name}.wav`, () => take.wav()],
  ];
  const offered = face.weights?.columns ? local : local.slice(1);
  const buttons = offered.map(([label, file, make_]) => saveButton(label, async () => save(make_(), file)));
  const served = face.formats.map(({ key, help }) => saveButton(key, async () => {
    const answer = await fetch(`take?format=${encodeURIComponent(key)}`, { method: "POST", body: take.message() });
    if (!answer.ok) throw new Error(await answer.text());
    save(await answer.blob(), `${name}_${key}.zip`);
  }, help));
  return [...buttons, ...served];

  /** @param {string} label @param {() => Promise<void>} run @param {string} [help] */
  function saveButton(label, run, help = label) {
    const button = make("button", { type: "button", title: help }, label);
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await run();
      } catch (error) {
        about.textContent = `${label} was not saved: ${error instanceof Error ? error.message : error}`;
      }
      button.disabled = false;
    });
    return button;
  }
}

/** @param {string | null} text @param {string} type */
function textBlob(text, type) {
  return text === null ? null : new Blob([text], { type });
}

/** @param {Blob | null} blob @param {string} file */
function save(blob, file) {
  if (!blob) return;
  const link = make("a", { href: URL.createObjectURL(blob), download: file });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
