/**
 * GLSL that computes on vertices: every fragment is a vertex, and its output is a texel of a vertex texture.
 */

/** One triangle that covers the whole framebuffer. */
export const FULLSCREEN_VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = vec4(4.0 * corner - 1.0, 0.0, 1.0);
}`;

/** Position: base plus weighted components. */
export const DEFORM_FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2DArray;
uniform sampler2D base;
uniform sampler2D weights;
uniform isampler2DArray components;
uniform int count; // of components
uniform int stack; // components stacked in a layer
uniform int rows;  // of texels of one component
out vec4 position;

void main() {
  ivec2 vertex = ivec2(gl_FragCoord.xy);
  vec3 delta = vec3(0.0);
  for (int component = 0; component < count; component++) {
    float weight = texelFetch(weights, ivec2(component & 63, component >> 6), 0).r;
    ivec3 texel = ivec3(vertex.x, vertex.y + rows * (component % stack), component / stack);
    delta += weight * vec3(texelFetch(components, texel, 0).xyz);
  }
  position = vec4(texelFetch(base, vertex, 0).xyz + delta, 1.0);
}`;

/** Normal: area-weighted mean over the triangles around the vertex. */
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
  for (int entry = ring.x; entry < ring.x + ring.y; entry++) {
    ivec2 others = texelFetch(corners, ivec2(entry % widths.y, entry / widths.y), 0).xy;
    sum += cross(at(others.x) - here, at(others.y) - here);
  }
  float size = length(sum);
  normal = vec4(size > 0.0 ? sum / size : vec3(0.0), 1.0);
}`;
