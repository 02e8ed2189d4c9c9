/**
 * A take: the frames that were shown while it was recorded, and their sound; as files in the browser, and as the message
 * that the server behind the page exports.
 */

/** @typedef {import("./face.js").PageDescription} PageDescription */
/** @typedef {import("./animator.js").Pose} Pose */

export const LONGEST_TAKE = 600; // seconds
const TICKS = 60; // per second, counted by the last field of a time code of Live Link Face
const ANGLES = ["HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll"];

export class Take {
  /** @param {PageDescription} face */
  constructor(face) {
    this.face = face;
    /** @type {{ number: number, pose: Pose, emotion: Float32Array }[]} */
    this.frames = [];
    /** @type {{ time: number, samples: Float32Array }[]} time in seconds of the session */
    this.pieces = [];
    this.rate = face.network.samplerate;
  }

  get seconds() {
    return this.frames.length / this.face.fps;
  }

  /** @param {number} number @param {Pose} pose @param {Float32Array} emotion */
  addFrame(number, pose, emotion) {
    this.frames.push({ number, pose, emotion });
  }

  /** @param {number} time @param {Float32Array} samples @param {number} rate */
  addSound(time, samples, rate) {
    if (this.pieces.length && rate !== this.rate) return; // one take, one rate: that of its first source
    this.rate = rate;
    this.pieces.push({ time, samples });
  }

  /** The sound from the first frame to the end of the last, silence where none was captured. */
  sound() {
    const { fps } = this.face;
    const start = (this.frames[0]?.number ?? 0) / fps;
    const sound = new Float32Array(Math.round(this.seconds * this.rate));
    let end = -Infinity; // pieces of one source follow each other without a gap
    for (const { time, samples } of this.pieces) {
      const place = Math.round((time - start) * this.rate);
      const from = Math.abs(place - end) < 0.005 * this.rate ? end : place;
      end = from + samples.length;
      const cut = samples.subarray(Math.max(0, -from), Math.max(0, sound.length - from));
      if (cut.length && from < sound.length) sound.set(cut, Math.max(0, from));
    }
    return sound;
  }

  /** The table of the app Live Link Face; null where the model has no shapes of ARKit. */
  csv() {
    const columns = this.face.weights?.columns;
    if (!columns) return null;
    const header = ["Timecode", "BlendShapeCount", ...columns.map(([name]) => name), ...ANGLES];
    const rows = this.frames.map(({ pose }, frame) => {
      const weights = columns.map(([, shape]) => (shape < 0 || !pose.weights ? 0 : pose.weights[shape]));
      const values = [...weights, ...anglesOf(pose.eyes)].map((value) => value.toFixed(9));
      return [timecode(frame, this.face.fps), String(columns.length + ANGLES.length), ...values];
    });
    return `${[header, ...rows].map((row) => row.join(",")).join("\n")}\n`;
  }

  /** All values of the take. */
  json() {
    const { face, frames } = this;
    const rounded = (/** @type {Float32Array | null} */ values) => values && Array.from(values, (value) => Number(value.toFixed(6)));
    return JSON.stringify({
      actor: face.actor,
      model: face.model,
      fps: face.fps,
      weightNames: face.weights?.names ?? [],
      emotions: face.network.emotions,
      frames: frames.map(({ pose, emotion }, frame) => ({
        time: Number((frame / face.fps).toFixed(6)),
        weights: rounded(pose.weights),
        jaw: rounded(pose.jaw),
        eyesDegrees: rounded(pose.eyes),
        emotion: rounded(emotion),
      })),
    });
  }

  /** The sound as a WAV file of 16 bits. */
  wav() {
    const sound = this.sound();
    const view = new DataView(new ArrayBuffer(44 + 2 * sound.length));
    const text = (/** @type {number} */ at, /** @type {string} */ word) => [...word].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
    text(0, "RIFF");
    view.setUint32(4, 36 + 2 * sound.length, true);
    text(8, "WAVEfmt ");
    view.setUint32(16, 16, true);
    view.setUint16(20, 1, true);
    view.setUint16(22, 1, true);
    view.setUint32(24, this.rate, true);
    view.setUint32(28, 2 * this.rate, true);
    view.setUint16(32, 2, true);
    view.setUint16(34, 16, true);
    text(36, "data");
    view.setUint32(40, 2 * sound.length, true);
    sound.forEach((value, index) => view.setInt16(44 + 2 * index, Math.round(32767 * Math.max(-1, Math.min(1, value))), true));
    return new Blob([view], { type: "audio/wav" });
  }

  /** What `take.py` reads: the length of a JSON text, the text, and float32 values of all frames, then the sound. */
  message() {
    const { frames, face } = this;
    const [first] = frames;
    const sound = this.sound();
    const sizes = { skin: first.pose.skin.length, tongue: first.pose.tongue.length, jaw: 16, eyes: 4, emotion: first.emotion.length };
    const head = new TextEncoder().encode(JSON.stringify({ frames: frames.length, sizes, rate: this.rate, samples: sound.length, actor: face.actor }));
    const rows = frames.map(({ pose, emotion }) => Float32Array.from([...pose.skin, ...pose.tongue, ...pose.jaw, ...pose.eyes, ...emotion]));
    return new Blob([Uint32Array.of(head.length), head, ...rows, sound]);
  }
}

/** Angles of head (0) and eyes in radians, with the signs of the app. @param {Float32Array} eyes degrees */
function anglesOf(eyes) {
  const [rightPitch, rightYaw, leftPitch, leftYaw] = Array.from(eyes, (angle) => (angle * Math.PI) / 180);
  return [0, 0, 0, 0 - leftYaw, leftPitch, 0, 0 - rightYaw, rightPitch, 0];
}

/** Hours, minutes, seconds and sixtieths with a fraction, 00:00:02:13.500. @param {number} frame @param {number} fps */
function timecode(frame, fps) {
  const thousandths = Math.round((frame * TICKS * 1000) / fps);
  const [seconds, part] = [Math.floor(thousandths / (TICKS * 1000)), thousandths % (TICKS * 1000)];
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const sixtieths = `${two(Math.floor(part / 1000))}.${String(part % 1000).padStart(3, "0")}`;
  return `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}:${sixtieths}`;
}
