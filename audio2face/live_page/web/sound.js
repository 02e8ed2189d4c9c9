/**
 * Where speech comes from: a microphone, or a recording that is played. Its samples go to the worker, and to nobody else.
 */

/** @typedef {{ samples?: Float32Array, time?: number, ended?: boolean }} Piece */

/**
 * @typedef {object} Source
 * @property {AudioContext} context
 * @property {MessagePort} worker receives the samples
 * @property {"microphone" | "file"} kind
 * @property {string} name
 * @property {number} [captureDelay] seconds, as the browser states it
 * @property {() => void} stop
 * @property {() => void} [start] of a recording
 * @property {DelayNode} [delay] of the sound that is played
 */

/** What keeps a page from using a microphone; empty where nothing does. */
export function microphoneObstacle() {
  if (/** @type {MediaDevices | undefined} */ (navigator.mediaDevices)) return "";
  const place = isSecureContext ? "This browser offers no microphone to pages." : "A browser gives its microphone only to pages of "
    + "the same machine (localhost) or over https. This page came over http from another machine.";
  return `${place} A recording works everywhere.`;
}

/** Sound in and out of the browser. */
export class Sound {
  /** @param {URL} program the folder of capture.js @param {(piece: Piece) => void} onPiece */
  constructor(program, onPiece) {
    this.program = program;
    this.onPiece = onPiece;
    /** @type {Source | null} */
    this.source = null;
  }

  /** @private */
  async open() {
    const context = new AudioContext({ latencyHint: "interactive" });
    await context.audioWorklet.addModule(new URL("capture.js", this.program));
    await context.resume();
    return context;
  }

  /**
   * Opens the microphone.
   * @param {string} device its id; empty: the browser's choice
   * @returns {Promise<Source>}
   */
  async openMicrophone(device) {
    const obstacle = microphoneObstacle();
    if (obstacle) throw new Error(obstacle);
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: {
          deviceId: device ? { exact: device } : undefined,
          channelCount: 1,
          echoCancellation: false,
          noiseSuppression: false,
          autoGainControl: false,
        },
      });
    } catch (error) {
      throw new Error(microphoneError(error), { cause: error });
    }
    const context = await this.open();
    const input = context.createMediaStreamSource(stream);
    const [capture, worker] = this.capture(context);
    input.connect(capture);
    const [track] = stream.getAudioTracks();
    track.addEventListener("ended", () => capture.port.postMessage({ ended: true }));
    const stop = () => {
      capture.port.postMessage({ ended: true });
      track.stop();
    };
    const settings = /** @type {MediaTrackSettings & { latency?: number }} */ (track.getSettings());
    return this.keep({ context, worker, kind: "microphone", name: track.label || "Microphone", stop, captureDelay: settings.latency });
  }

  /**
   * Plays a recording.
   * @param {Blob} file
   * @param {string} name
   * @returns {Promise<Source>}
   */
  async openFile(file, name) {
    const context = await this.open();
    let recording;
    try {
      recording = await context.decodeAudioData(await file.arrayBuffer());
    } catch (error) {
      await context.close();
      throw new Error(`${name} holds no sound that this browser can read. WAV, MP3, M4A, OGG and FLAC usually work.`, { cause: error });
    }
    const player = new AudioBufferSourceNode(context, { buffer: recording });
    const [capture, worker] = this.capture(context);
    const delay = new DelayNode(context, { maxDelayTime: 2 });
    player.connect(capture);
    player.connect(delay).connect(context.destination);
    player.addEventListener("ended", () => capture.port.postMessage({ ended: true }));
    return this.keep({ context, worker, kind: "file", name, stop: () => player.stop(), delay, start: () => player.start() });
  }

  /** A node that hands what it gets to a port. @private @param {AudioContext} context @returns {[AudioWorkletNode, MessagePort]} */
  capture(context) {
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage({ worker: port1 }, [port1]);
    node.port.onmessage = ({ data }) => {
      if (data.ended && this.source?.context === context) this.release();
      this.onPiece(data);
    };
    return [node, port2];
  }

  /** @private @param {Source} source */
  keep(source) {
    this.source = source;
    return source;
  }

  /** Forgets a source that has ended; the rest of its sound, which is delayed, is played. @private */
  release() {
    const ended = this.source;
    this.source = null;
    if (ended) setTimeout(() => void ended.context.close(), 3000);
  }

  /** Ends what is listened to; its last samples still arrive. */
  stop() {
    this.source?.stop();
  }
}

/** @param {unknown} error */
function microphoneError(error) {
  const name = error instanceof DOMException ? error.name : "";
  return {
    NotAllowedError: "The microphone was not allowed. Allow it beside the address of this page, then try again.",
    NotFoundError: "This machine has no microphone. Connect one, or open a recording.",
    NotReadableError: "Another program keeps the microphone. Close it, then try again.",
    OverconstrainedError: "That microphone is no longer there. Choose another one.",
  }[name] ?? `The microphone cannot be opened: ${error instanceof Error ? error.message : error}`;
}
