/**
 * Reads the arrays that `payload.py` wrote into the page.
 */

/** @typedef {"uint8" | "int16" | "int32" | "float32"} Dtype */
/** @typedef {{ dtype: Dtype, shape: number[], offset: number }} Place where an array lies */

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
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** Arrays by their places. */
export class Payload {
  /** @param {ArrayBuffer} buffer */
  constructor(buffer) {
    this.buffer = buffer;
  }

  /** @param {Place} place */
  floats(place) {
    return /** @type {Float32Array} */ (this.view(place, "float32"));
  }

  /** @param {Place} place */
  integers(place) {
    return /** @type {Int32Array} */ (this.view(place, "int32"));
  }

  /** @param {Place} place */
  bytes(place) {
    return /** @type {Uint8Array<ArrayBuffer>} */ (this.view(place, "uint8"));
  }

  /**
   * 16-bit integers, which lie as high bytes and low bytes of folded differences along the last axis.
   * @param {Place} place
   */
  shorts(place) {
    const count = product(place.shape);
    const row = place.shape[place.shape.length - 1];
    const high = new Uint8Array(this.buffer, place.offset, count);
    const low = new Uint8Array(this.buffer, place.offset + count, count);
    const values = new Int16Array(count);
    for (let i = 0, value = 0; i < count; i++) {
      if (i % row === 0) value = 0;
      const folded = (high[i] << 8) | low[i];
      value += (folded >>> 1) ^ -(folded & 1);
      values[i] = value;
    }
    return values;
  }

  /**
   * @private
   * @param {Place} place
   * @param {keyof typeof VIEWS} dtype
   */
  view(place, dtype) {
    if (place.dtype !== dtype) throw new Error(`an array of ${place.dtype} is read as ${dtype}`);
    return new VIEWS[dtype](this.buffer, place.offset, product(place.shape));
  }
}

/** @param {number[]} factors */
function product(factors) {
  return factors.reduce((one, other) => one * other, 1);
}
