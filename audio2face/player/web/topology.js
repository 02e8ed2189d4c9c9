/**
 * What follows from a mesh's polygons alone: triangles, edges, and the triangles around each vertex.
 */

/**
 * @typedef {object} Topology
 * @property {Uint32Array} triangles three vertices each
 * @property {Uint32Array} edges two vertices each, every edge of a polygon once
 * @property {Int32Array} rings first entry in `corners` and number of entries, for each vertex
 * @property {Int32Array} corners the two other vertices of each triangle around a vertex, in its turning order
 */

/**
 * @param {Int32Array} faces polygons of `size` corners, -1 as the fourth of a triangle
 * @param {number} size 3 or 4
 * @param {number} numVerts
 * @returns {Topology}
 */
export function topologyOf(faces, size, numVerts) {
  const triangles = trianglesOf(faces, size);
  return { triangles, edges: edgesOf(faces, size, numVerts), ...ringsOf(triangles, numVerts) };
}

/**
 * @param {Int32Array} faces
 * @param {number} size
 */
function trianglesOf(faces, size) {
  const found = new Uint32Array((faces.length / size) * (size - 2) * 3);
  let count = 0;
  for (let first = 0; first < faces.length; first += size) {
    for (let corner = 2; corner < size; corner++) {
      if (faces[first + corner] < 0) continue;
      found[count++] = faces[first];
      found[count++] = faces[first + corner - 1];
      found[count++] = faces[first + corner];
    }
  }
  return found.slice(0, count);
}

/**
 * @param {Int32Array} faces
 * @param {number} size
 * @param {number} numVerts
 */
function edgesOf(faces, size, numVerts) {
  const keys = new Float64Array(faces.length);
  let count = 0;
  for (let first = 0; first < faces.length; first += size) {
    const corners = size === 4 && faces[first + 3] < 0 ? 3 : size;
    for (let corner = 0; corner < corners; corner++) {
      const [a, b] = [faces[first + corner], faces[first + ((corner + 1) % corners)]];
      keys[count++] = Math.min(a, b) * numVerts + Math.max(a, b);
    }
  }
  const sorted = keys.subarray(0, count).sort().filter((key, index, all) => index === 0 || key !== all[index - 1]);
  const edges = new Uint32Array(2 * sorted.length);
  sorted.forEach((key, index) => edges.set([Math.floor(key / numVerts), key % numVerts], 2 * index));
  return edges;
}

/**
 * @param {Uint32Array} triangles
 * @param {number} numVerts
 */
function ringsOf(triangles, numVerts) {
  const rings = new Int32Array(2 * numVerts);
  for (const vertex of triangles) rings[2 * vertex + 1]++;
  for (let vertex = 1; vertex < numVerts; vertex++) rings[2 * vertex] = rings[2 * vertex - 2] + rings[2 * vertex - 1];
  const corners = new Int32Array(2 * triangles.length);
  const next = Int32Array.from({ length: numVerts }, (_, vertex) => rings[2 * vertex]);
  for (let first = 0; first < triangles.length; first += 3) {
    for (let corner = 0; corner < 3; corner++) {
      const index = 2 * next[triangles[first + corner]]++;
      corners[index] = triangles[first + ((corner + 1) % 3)];
      corners[index + 1] = triangles[first + ((corner + 2) % 3)];
    }
  }
  return { rings, corners };
}
