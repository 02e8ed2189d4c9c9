/**
 * GLSL that draws: meshes whose vertices are texels, their shadows and edges, and the background.
 *
 * Lighting is linear, tone mapped with the filmic curve of K. Narkowicz (2015). Wrapped diffuse lighting, wider for red
 * than for blue, approximates the subsurface scattering of skin.
 */
import { heatMapGlsl } from "./heat_map_colours.js";

const VERTEX_TEXTURES = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
uniform sampler2D positions;
uniform int width; // of the vertex textures
uniform mat4 model;
uniform mat4 camera;

ivec2 texel() {
  return ivec2(gl_VertexID % width, gl_VertexID / width);
}
`;

/** @param {number} count */
function discSamples(count) {
  const samples = Array.from({ length: count }, (_, index) => {
    const [radius, angle] = [Math.sqrt((index + 0.5) / count), 2.3999632 * index];
    return `vec2(${(radius * Math.cos(angle)).toFixed(4)}, ${(radius * Math.sin(angle)).toFixed(4)})`;
  });
  return samples.join(", ");
}

/** Positions only: shadows and edges. */
export const POSITION_VERTEX = `${VERTEX_TEXTURES}
void main() {
  gl_Position = camera * model * vec4(texelFetch(positions, texel(), 0).xyz, 1.0);
  gl_PointSize = 2.0;
}`;

export const DEPTH_FRAGMENT = `#version 300 es
void main() {}`;

export const EDGE_FRAGMENT = `#version 300 es
precision highp float;
uniform vec4 lineColour;
out vec4 colour;
void main() {
  colour = lineColour;
}`;

/** The background: a soft radial gradient behind the head. */
export const BACKGROUND_FRAGMENT = `#version 300 es
precision highp float;
uniform vec4 viewport; // left, bottom, width and height, pixels
out vec4 colour;
void main() {
  vec2 at = (gl_FragCoord.xy - viewport.xy) / viewport.zw - vec2(0.5, 0.56);
  at.x *= min(viewport.z / viewport.w, 1.4);
  vec3 background = mix(vec3(0.190, 0.202, 0.222), vec3(0.062, 0.067, 0.076), smoothstep(0.0, 0.85, length(at)));
  float grain = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) - 0.5;
  colour = vec4(background + grain / 255.0, 1.0); // dithering against banding
}`;

/** Visibility of one direction from each vertex, weighted by its cosine; blending sums over many directions. */
export const OCCLUSION_FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp sampler2DShadow;
uniform sampler2D positions;
uniform sampler2D normals;
uniform sampler2DShadow shadow;
uniform mat4 model;
uniform mat4 light;
uniform vec3 towards; // direction
uniform float share;  // weight of one direction
uniform float lift;   // shadow bias: offset along the normal
out vec4 seen;

void main() {
  ivec2 vertex = ivec2(gl_FragCoord.xy);
  vec3 normal = mat3(model) * texelFetch(normals, vertex, 0).xyz;
  vec3 lifted = (model * vec4(texelFetch(positions, vertex, 0).xyz, 1.0)).xyz + lift * (normal + towards);
  vec3 texel = (light * vec4(lifted, 1.0)).xyz * 0.5 + 0.5;
  seen = vec4(share * max(dot(normal, towards), 0.0) * texture(shadow, texel));
}`;

/** Shaded meshes. */
export const LIT_VERTEX = `${VERTEX_TEXTURES}
uniform sampler2D normals;
uniform sampler2D colours;
uniform sampler2D occlusion; // visible share of the hemisphere, mouth closed (red) and open (green)
uniform sampler2D otherPositions; // positions of the same vertices in the other animation
uniform float mouthOpen; // 0 closed to 1 open
uniform float pointSize;
out vec3 world;
out vec3 normal;
out vec3 tint;
out float ambient;
out float error; // millimetres

void main() {
  ivec2 vertex = texel();
  vec3 local = texelFetch(positions, vertex, 0).xyz;
  vec4 transformed = model * vec4(local, 1.0);
  world = transformed.xyz;
  normal = mat3(model) * texelFetch(normals, vertex, 0).xyz;
  tint = texelFetch(colours, vertex, 0).rgb;
  vec2 open = texelFetch(occlusion, vertex, 0).rg;
  ambient = mix(open.x, open.y, mouthOpen);
  error = 10.0 * distance(local, texelFetch(otherPositions, vertex, 0).xyz);
  gl_Position = camera * transformed;
  gl_PointSize = pointSize;
}`;

export const LIT_FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2DShadow;
in vec3 world;
in vec3 normal;
in vec3 tint;
in float ambient;
in float error;
uniform sampler2DShadow shadow;
uniform mat4 light;
uniform vec3 eye;
uniform vec3 keyLight; // direction
uniform int material;  // 0 skin, 1 tongue, 2 teeth, 3 eye, 4 marker
uniform float texelSize; // of the shadow map
uniform float lift;    // shadow bias
uniform float heatTop; // millimetres; 0: no heat map
uniform float glass;   // 1: transparent
uniform float isPoint; // 1: a point, shaded towards the camera
uniform float unshadowed; // 1: no shadows
out vec4 colour;

const float PI = 3.14159265;
${heatMapGlsl()}

// Samples of a disc on a golden-angle spiral.
const vec2 DISC[12] = vec2[](${discSamples(12)});

// Visible share of the key light: percentage-closer filtering over a disc, rotated randomly per pixel.
float keyLightVisibility(vec3 offset) {
  vec3 texel = (light * vec4(world + lift * offset, 1.0)).xyz * 0.5 + 0.5;
  float angle = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) * 6.2831853;
  mat2 turn = 4.5 * texelSize * mat2(cos(angle), sin(angle), -sin(angle), cos(angle));
  float sum = 0.0;
  for (int tap = 0; tap < 12; tap++) sum += texture(shadow, vec3(texel.xy + turn * DISC[tap], texel.z));
  return sum / 12.0;
}

// Microfacet specular reflection: GGX with Schlick's approximations.
float ggxSpecular(vec3 n, vec3 v, vec3 from, float roughness, float f0) {
  vec3 h = normalize(v + from);
  float nh = max(dot(n, h), 0.0), nv = max(dot(n, v), 1e-3), nl = max(dot(n, from), 0.0);
  float a2 = pow(roughness, 4.0);
  float peak = nh * nh * (a2 - 1.0) + 1.0;
  float k = 0.5 * roughness * roughness;
  float mask = 1.0 / ((nv * (1.0 - k) + k) * (nl * (1.0 - k) + k));
  float fresnel = f0 + (1.0 - f0) * pow(1.0 - max(dot(v, h), 0.0), 5.0);
  return nl * fresnel * mask * a2 / (4.0 * PI * peak * peak);
}

vec3 tonemap(vec3 c) {
  c = clamp((c * (2.51 * c + 0.03)) / (c * (2.43 * c + 0.59) + 0.14), 0.0, 1.0);
  return pow(c, vec3(1.0 / 2.2));
}

void main() {
  vec3 v = normalize(eye - world);
  vec3 n = isPoint > 0.5 ? v : normalize(normal);
  bool inside = !gl_FrontFacing && isPoint < 0.5;
  if (inside) n = -n;
  float facing = max(dot(n, v), 0.0);
  float rim = pow(1.0 - facing, 3.0);

  vec3 scatter = vec3(0.0);
  float roughness = 0.5, clearcoat = 0.0, f0 = 0.028;
  if (material == 0) { scatter = vec3(0.34, 0.12, 0.07); roughness = 0.52; clearcoat = 0.32; }
  if (material == 1) { scatter = vec3(0.25, 0.08, 0.06); roughness = 0.36; clearcoat = 0.2; f0 = 0.035; }
  if (material == 2) { scatter = vec3(0.12, 0.1, 0.07); roughness = 0.26; f0 = 0.045; }
  if (material == 3) { scatter = vec3(0.1, 0.06, 0.05); roughness = 0.14; f0 = 0.04; }

  vec3 base = tint;
  float open = mix(clamp(ambient, 0.0, 1.0), 1.0, unshadowed);
  open = mix(material == 0 ? 0.04 : 0.16, 1.0, open); // approximates further bounces
  if (inside) { // back faces: the inside of the skin; fades out at silhouettes
    float deep = smoothstep(0.0, 0.5, facing);
    base = mix(base, vec3(0.16, 0.035, 0.03), deep);
    open *= 1.0 - 0.65 * deep;
  }

  float visibility = max(keyLightVisibility(n), unshadowed);
  vec3 shade = pow(vec3(visibility), vec3(0.75, 1.0, 1.1));
  vec3 wrap = max((vec3(dot(n, keyLight)) + scatter) / pow(1.0 + scatter, vec3(2.0)), 0.0);
  vec3 fillFrom = normalize(vec3(0.75, 0.15, 0.65)), backFrom = normalize(vec3(0.55, 0.45, -0.75));
  vec3 ambientColour = pow(vec3(open), vec3(0.8, 1.0, 1.08)); // interreflection in folds is red
  float fill = max((dot(n, fillFrom) + 0.3) / 1.69, 0.0), back = max((dot(n, backFrom) + 0.15) / 1.32, 0.0);
  vec3 hemisphere = mix(vec3(0.13, 0.105, 0.1), vec3(0.28, 0.31, 0.37), 0.5 + 0.5 * n.y);

  vec3 diffuse = vec3(1.75, 1.62, 1.46) * wrap * shade
    + ambientColour * (hemisphere + vec3(0.20, 0.25, 0.33) * fill + vec3(0.55, 0.6, 0.72) * back);
  float specular = (ggxSpecular(n, v, keyLight, roughness, f0) + clearcoat * ggxSpecular(n, v, keyLight, 0.55 * roughness, f0)) * visibility;
  specular += 0.35 * open * ggxSpecular(n, v, fillFrom, roughness, f0) + 0.22 * open * ggxSpecular(n, v, backFrom, roughness, f0);
  vec3 c = base * diffuse + vec3(2.9, 2.8, 2.7) * specular;
  c += (material == 3 ? 0.10 : 0.045) * open * rim * vec3(0.7, 0.8, 1.0);
  if (material == 3) { // a window reflected in the eye
    vec3 mirrored = reflect(-v, n);
    float window = smoothstep(0.972, 0.982, dot(mirrored, normalize(vec3(-0.40, 0.34, 0.85))));
    c += 1.6 * window * smoothstep(0.15, 0.5, open);
  }
  vec3 mapped = tonemap(0.62 * c);
  if (heatTop > 0.0 && material <= 1) mapped = heat(error / heatTop) * (0.62 + 0.38 * pow(facing, 0.7)) * mix(0.75, 1.0, open);
  float opacity = mix(1.0, 0.10 + 0.75 * pow(1.0 - facing, 2.2), glass);
  colour = vec4(mapped, opacity);
}`;
