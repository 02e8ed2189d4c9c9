/**
 * Reads the arrays that `motion_codec.py` wrote into the page.
 */

/** @typedef {"uint8" | "int16" | "int32" | "float32"} Dtype */
/** @typedef {{ dtype: Dtype, shape: number[], offset: number }} ArrayRef location of an array */

const VIEWS = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array };

/**
 * Inflates the page's block of bytes.
 * @param {string} text base64 of a zlib stream
 * @returns {Promise<ArrayBuffer>}
 */
export async function openPayload(text) {
  const packed = atob(text);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = packed.charCodeAt(i);
  return inflate(new Blob([bytes]));
}

/**
 * @param {Blob} packed a zlib stream
 * @returns {Promise<ArrayBuffer>}
 */
export async function inflate(packed) {
  return new Response(packed.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

/** Arrays by reference. */
export class Payload {
  /** @param {ArrayBuffer} buffer */
  constructor(buffer) {
    this.buffer = buffer;
  }

  /** @param {ArrayRef} ref */
  floats(ref) {
    return /** @type {Float32Array} */ (this.view(ref, "float32"));
  }

  /** @param {ArrayRef} ref */
  integers(ref) {
    return /** @type {Int32Array} */ (this.view(ref, "int32"));
  }

  /** @param {ArrayRef} ref */
  bytes(ref) {
    return /** @type {Uint8Array<ArrayBuffer>} */ (this.view(ref, "uint8"));
  }

  /**
   * 16-bit integers, stored as all high bytes, then all low bytes, of zigzag-coded differences along the last axis.
   * @param {ArrayRef} ref
   */
  shorts(ref) {
    const count = product(ref.shape);
    const row = ref.shape[ref.shape.length - 1];
    const high = new Uint8Array(this.buffer, ref.offset, count);
    const low = new Uint8Array(this.buffer, ref.offset + count, count);
    const values = new Int16Array(count);
    for (let i = 0, value = 0; i < count; i++) {
      if (i % row === 0) value = 0;
      const zigzag = (high[i] << 8) | low[i];
      value += (zigzag >>> 1) ^ -(zigzag & 1);
      values[i] = value;
    }
    return values;
  }

  /**
   * @private
   * @param {ArrayRef} ref
   * @param {keyof typeof VIEWS} dtype
   */
  view(ref, dtype) {
    if (ref.dtype !== dtype) throw new Error(`an array of ${ref.dtype} is read as ${dtype}`);
    return new VIEWS[dtype](this.buffer, ref.offset, product(ref.shape));
  }
}

/** @param {number[]} factors */
function product(factors) {
  return factors.reduce((one, other) => one * other, 1);
}
