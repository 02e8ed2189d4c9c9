/**
 * The worker that runs the network: sound in, as it is captured, a frame out for each step.
 *
 * Sound arrives through a port of its own, straight from the thread that captures it.
 */
import { Listener } from "./listener.js";
import { Network } from "./network.js";

/** @typedef {import("./windows.js").NetworkDescription} NetworkDescription */

const scope = /** @type {{ postMessage: (message: unknown, transfer?: Transferable[]) => void, onmessage: unknown }} */ (/** @type {unknown} */ (self));

/** @type {Listener | null} */
let listener = null;

/**
 * Results of given windows from silence on: the check against the deployed folder's conformance vectors.
 * @param {Network} network
 * @param {{ windows: Float32Array, identity: Float32Array, emotion: Float32Array }} steps rows one behind another
 */
async function check(network, { windows, identity, emotion }) {
  const { window: size, identity: who, emotions } = network.network;
  const count = windows.length / size;
  const row = (/** @type {Float32Array} */ values, /** @type {number} */ width, /** @type {number} */ index) =>
    values.slice(index * width, (index + 1) * width);
  network.reset();
  /** @type {Float32Array[]} */
  const results = [];
  /** @type {number[]} */
  const taken = [];
  for (let index = 0; index < count; index++) {
    const started = performance.now();
    results.push(await network.step(row(windows, size, index), row(identity, who.length, index), row(emotion, emotions.length, index)));
    taken.push(performance.now() - started);
  }
  const state = Float32Array.from(network.state.data);
  network.reset();
  scope.postMessage({ kind: "checked", results, state, taken });
}

/** @param {unknown} error */
function fail(error) {
  scope.postMessage({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
}

/** @type {Record<string, (message: any) => Promise<void> | void>} */
const HANDLERS = {
  async open({ network, fps, ease, graph, runtime }) {
    const opened = await Network.open(network, graph, runtime);
    await opened.step(new Float32Array(network.window), Float32Array.from(network.identity), Float32Array.from(network.emotion));
    opened.reset();
    listener = new Listener(opened, fps, ease, (message) => scope.postMessage(message));
    scope.postMessage({ kind: "opened" });
  },
  listen({ rate, origin, live, port }) {
    listener?.listen(rate, origin, live);
    port.onmessage = (/** @type {MessageEvent<import("./listener.js").Piece>} */ { data }) => {
      listener?.push(data).catch(fail);
    };
  },
  restart({ earliest }) {
    listener?.restart(earliest);
  },
  emotion({ vector }) {
    listener?.wanted.set(vector);
  },
  async check({ steps }) {
    if (listener) await check(listener.network, steps);
  },
};

scope.onmessage = async (/** @type {MessageEvent<{ kind: string }>} */ { data }) => {
  try {
    await HANDLERS[data.kind](data);
  } catch (error) {
    fail(error);
  }
};
