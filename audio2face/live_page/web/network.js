/**
 * The network in ONNX Runtime Web, on one thread: a frame a step, with a state that is carried.
 */

/** @typedef {import("./windows.js").NetworkDescription} NetworkDescription */

/**
 * @typedef {object} OrtTensor what is used of ONNX Runtime Web
 * @property {Float32Array} data
 */

/**
 * @typedef {object} Ort
 * @property {{ wasm: { numThreads: number, wasmPaths: unknown }, logLevel: string }} env
 * @property {new (type: "float32", data: Float32Array, dims: number[]) => OrtTensor} Tensor
 * @property {{ create: (graph: Uint8Array, options: object) => Promise<{ run: (feeds: Record<string, OrtTensor>) => Promise<Record<string, OrtTensor>> }> }} InferenceSession
 */

export class Network {
  /**
   * Loads runtime and graph.
   * @param {NetworkDescription} network
   * @param {string} graph address of network.onnx
   * @param {string} runtime address of the folder with ONNX Runtime Web
   */
  static async open(network, graph, runtime) {
    const ort = /** @type {Ort} */ (await import(new URL("ort.js", runtime).href));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", runtime).href };
    ort.env.logLevel = "error";
    const answer = await fetch(graph);
    if (!answer.ok) throw new Error(`the network cannot be loaded: ${graph} gives ${answer.status}`);
    const session = await ort.InferenceSession.create(new Uint8Array(await answer.arrayBuffer()), {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
    });
    return new Network(ort, session, network);
  }

  /**
   * @private
   * @param {Ort} ort
   * @param {Awaited<ReturnType<Ort["InferenceSession"]["create"]>>} session
   * @param {NetworkDescription} network
   */
  constructor(ort, session, network) {
    this.ort = ort;
    this.session = session;
    this.network = network;
    this.state = this.silence();
  }

  /** Forgets all speech. */
  reset() {
    this.state = this.silence();
  }

  /** The state before any speech. @private */
  silence() {
    return new this.ort.Tensor("float32", new Float32Array(this.network.state), [1, this.network.state]);
  }

  /**
   * Computes the next frame.
   * @param {Float32Array} window
   * @param {Float32Array} identity
   * @param {Float32Array} emotion
   * @returns {Promise<Float32Array>} coefficients of skin and tongue, the jaw's points in centimetres, eyes in degrees
   */
  async step(window, identity, emotion) {
    const row = (/** @type {Float32Array} */ values) => new this.ort.Tensor("float32", values, [1, values.length]);
    const { result, next_state: after } = await this.session.run({
      window: row(window),
      identity: row(identity),
      emotion: row(emotion),
      state: this.state,
    });
    this.state = after;
    return Float32Array.from(result.data);
  }
}
