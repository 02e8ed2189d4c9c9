/**
 * GLSL that works on vertices: a fragment is a vertex, and what it gives goes into a texture of vertices.
 */

/** One triangle that covers the whole target. */
export const WHOLE_VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = vec4(4.0 * corner - 1.0, 0.0, 1.0);
}`;

/** Position: mean pose and weighted shapes. */
export const POSE_FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2DArray;
uniform sampler2D rest;
uniform sampler2D weights;
uniform isampler2DArray shapes;
uniform int count; // shapes
uniform int stack; // shapes above each other in a layer
uniform int rows;  // of one shape
out vec4 position;

void main() {
  ivec2 vertex = ivec2(gl_FragCoord.xy);
  vec3 moved = vec3(0.0);
  for (int shape = 0; shape < count; shape++) {
    float weight = texelFetch(weights, ivec2(shape & 63, shape >> 6), 0).r;
    ivec3 place = ivec3(vertex.x, vertex.y + rows * (shape % stack), shape / stack);
    moved += weight * vec3(texelFetch(shapes, place, 0).xyz);
  }
  position = vec4(texelFetch(rest, vertex, 0).xyz + moved, 1.0);
}`;

/** Normal: of the triangles around the vertex, weighted by area. */
export const NORMAL_FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;
uniform sampler2D positions;
uniform isampler2D rings;
uniform isampler2D corners;
uniform ivec2 widths; // of the textures of vertices and of corners
out vec4 normal;

vec3 at(int vertex) {
  return texelFetch(positions, ivec2(vertex % widths.x, vertex / widths.x), 0).xyz;
}

void main() {
  ivec2 vertex = ivec2(gl_FragCoord.xy);
  ivec2 ring = texelFetch(rings, vertex, 0).xy;
  vec3 here = texelFetch(positions, vertex, 0).xyz;
  vec3 sum = vec3(0.0);
  for (int place = ring.x; place < ring.x + ring.y; place++) {
    ivec2 others = texelFetch(corners, ivec2(place % widths.y, place / widths.y), 0).xy;
    sum += cross(at(others.x) - here, at(others.y) - here);
  }
  float size = length(sum);
  normal = vec4(size > 0.0 ? sum / size : vec3(0.0), 1.0);
}`;
