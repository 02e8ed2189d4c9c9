/**
 * GLSL that draws: meshes whose vertices lie in textures, their shadows, their edges, and the ground behind them.
 *
 * Light is worked out in linear colour and brought to the screen with the filmic curve of K. Narkowicz (2015). Skin lets
 * red light further round an edge than blue, as light under real skin does.
 */
import { heatFunction } from "./heat_colours.js";

const VERTEX_TEXTURES = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
uniform sampler2D positions;
uniform int width; // of the textures of vertices
uniform mat4 model;
uniform mat4 camera;

ivec2 texel() {
  return ivec2(gl_VertexID % width, gl_VertexID / width);
}
`;

/** @param {number} count */
function discOf(count) {
  const places = Array.from({ length: count }, (_, place) => {
    const [radius, angle] = [Math.sqrt((place + 0.5) / count), 2.3999632 * place];
    return `vec2(${(radius * Math.cos(angle)).toFixed(4)}, ${(radius * Math.sin(angle)).toFixed(4)})`;
  });
  return places.join(", ");
}

/** Positions only: shadows and edges. */
export const PLAIN_VERTEX = `${VERTEX_TEXTURES}
void main() {
  gl_Position = camera * model * vec4(texelFetch(positions, texel(), 0).xyz, 1.0);
  gl_PointSize = 2.0;
}`;

export const NOTHING_FRAGMENT = `#version 300 es
void main() {}`;

export const EDGE_FRAGMENT = `#version 300 es
precision highp float;
uniform vec4 ink;
out vec4 colour;
void main() {
  colour = ink;
}`;

/** The ground: a soft glow behind the head. */
export const GROUND_FRAGMENT = `#version 300 es
precision highp float;
uniform vec4 place; // left, bottom, width and height of the view, pixels
out vec4 colour;
void main() {
  vec2 at = (gl_FragCoord.xy - place.xy) / place.zw - vec2(0.5, 0.56);
  at.x *= min(place.z / place.w, 1.4);
  vec3 ground = mix(vec3(0.190, 0.202, 0.222), vec3(0.062, 0.067, 0.076), smoothstep(0.0, 0.85, length(at)));
  float grain = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) - 0.5;
  colour = vec4(ground + grain / 255.0, 1.0); // grain keeps the slow gradient free of bands
}`;

/** What a vertex sees of the sky from one direction, added up over many. */
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
uniform vec3 towards; // the direction
uniform float share;  // of the whole that a direction straight above gives
uniform float lift;   // off the surface, against shadows of a vertex on itself
out vec4 seen;

void main() {
  ivec2 vertex = ivec2(gl_FragCoord.xy);
  vec3 normal = mat3(model) * texelFetch(normals, vertex, 0).xyz;
  vec3 here = (model * vec4(texelFetch(positions, vertex, 0).xyz, 1.0)).xyz + lift * (normal + towards);
  vec3 place = (light * vec4(here, 1.0)).xyz * 0.5 + 0.5;
  seen = vec4(share * max(dot(normal, towards), 0.0) * texture(shadow, place));
}`;

/** Everything that is lit. */
export const FACE_VERTEX = `${VERTEX_TEXTURES}
uniform sampler2D normals;
uniform sampler2D colours;
uniform sampler2D occlusion; // how much sky is seen, mouth shut and mouth open
uniform sampler2D others;    // positions of the same vertices in the other animation
uniform float opened;        // how far the mouth is open, 0 to 1
uniform float pointSize;
out vec3 world;
out vec3 normal;
out vec3 tint;
out float sky;
out float error; // millimetres

void main() {
  ivec2 place = texel();
  vec3 local = texelFetch(positions, place, 0).xyz;
  vec4 moved = model * vec4(local, 1.0);
  world = moved.xyz;
  normal = mat3(model) * texelFetch(normals, place, 0).xyz;
  tint = texelFetch(colours, place, 0).rgb;
  vec2 open = texelFetch(occlusion, place, 0).rg;
  sky = mix(open.x, open.y, opened);
  error = 10.0 * distance(local, texelFetch(others, place, 0).xyz);
  gl_Position = camera * moved;
  gl_PointSize = pointSize;
}`;

export const FACE_FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2DShadow;
in vec3 world;
in vec3 normal;
in vec3 tint;
in float sky;
in float error;
uniform sampler2DShadow shadow;
uniform mat4 light;
uniform vec3 eye;
uniform vec3 key;      // direction of the main light
uniform int material;  // 0 skin, 1 tongue, 2 teeth, 3 eye, 4 marker
uniform float texelSize; // of the shadow
uniform float lift;    // off the surface, for the shadow
uniform float heatTop; // millimetres; 0: no heat map
uniform float veil;    // 1: the skin is drawn as glass
uniform float flatness; // 1: points, which have no normal
uniform float bare;    // 1: nothing stands in the light
out vec4 colour;

const float PI = 3.14159265;
${heatFunction()}

// Places in a disc, on a spiral of golden angles.
const vec2 DISC[12] = vec2[](${discOf(12)});

// Share of the main light that arrives, averaged over a disc that is turned by chance from pixel to pixel.
float lit(vec3 bent) {
  vec3 place = (light * vec4(world + lift * bent, 1.0)).xyz * 0.5 + 0.5;
  float angle = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) * 6.2831853;
  mat2 turn = 4.5 * texelSize * mat2(cos(angle), sin(angle), -sin(angle), cos(angle));
  float sum = 0.0;
  for (int tap = 0; tap < 12; tap++) sum += texture(shadow, vec3(place.xy + turn * DISC[tap], place.z));
  return sum / 12.0;
}

// Microfacet reflection (GGX, with Schlick's approximations) of a light from a direction.
float gloss(vec3 n, vec3 v, vec3 from, float rough, float straight) {
  vec3 h = normalize(v + from);
  float nh = max(dot(n, h), 0.0), nv = max(dot(n, v), 1e-3), nl = max(dot(n, from), 0.0);
  float a2 = pow(rough, 4.0);
  float peak = nh * nh * (a2 - 1.0) + 1.0;
  float k = 0.5 * rough * rough;
  float mask = 1.0 / ((nv * (1.0 - k) + k) * (nl * (1.0 - k) + k));
  float fresnel = straight + (1.0 - straight) * pow(1.0 - max(dot(v, h), 0.0), 5.0);
  return nl * fresnel * mask * a2 / (4.0 * PI * peak * peak);
}

vec3 screen(vec3 c) {
  c = clamp((c * (2.51 * c + 0.03)) / (c * (2.43 * c + 0.59) + 0.14), 0.0, 1.0);
  return pow(c, vec3(1.0 / 2.2));
}

void main() {
  vec3 v = normalize(eye - world);
  vec3 n = flatness > 0.5 ? v : normalize(normal);
  bool inside = !gl_FrontFacing && flatness < 0.5;
  if (inside) n = -n;
  float facing = max(dot(n, v), 0.0);
  float rimmed = pow(1.0 - facing, 3.0);

  vec3 bounce = vec3(0.0), spread = vec3(0.0);
  float rough = 0.5, wet = 0.0, straight = 0.028;
  if (material == 0) { spread = vec3(0.34, 0.12, 0.07); rough = 0.52; wet = 0.32; }
  if (material == 1) { spread = vec3(0.25, 0.08, 0.06); rough = 0.36; wet = 0.2; straight = 0.035; }
  if (material == 2) { spread = vec3(0.12, 0.1, 0.07); rough = 0.26; straight = 0.045; }
  if (material == 3) { spread = vec3(0.1, 0.06, 0.05); rough = 0.14; straight = 0.04; }

  vec3 base = tint;
  float open = mix(clamp(sky, 0.0, 1.0), 1.0, bare);
  open = mix(material == 0 ? 0.04 : 0.16, 1.0, open); // light that has bounced more often than was looked for
  if (inside) { // the far side of the skin; less so at an outline, where a pixel catches a little of it
    float deep = smoothstep(0.0, 0.5, facing);
    base = mix(base, vec3(0.16, 0.035, 0.03), deep);
    open *= 1.0 - 0.65 * deep;
  }

  float arrives = max(lit(n), bare);
  vec3 shade = pow(vec3(arrives), vec3(0.75, 1.0, 1.1));
  vec3 wrap = max((vec3(dot(n, key)) + spread) / pow(1.0 + spread, vec3(2.0)), 0.0);
  vec3 fillFrom = normalize(vec3(0.75, 0.15, 0.65)), backFrom = normalize(vec3(0.55, 0.45, -0.75));
  vec3 sky3 = pow(vec3(open), vec3(0.8, 1.0, 1.08)); // light that bounces in folds is red
  float fill = max((dot(n, fillFrom) + 0.3) / 1.69, 0.0), back = max((dot(n, backFrom) + 0.15) / 1.32, 0.0);
  vec3 around = mix(vec3(0.13, 0.105, 0.1), vec3(0.28, 0.31, 0.37), 0.5 + 0.5 * n.y);

  vec3 diffuse = vec3(1.75, 1.62, 1.46) * wrap * shade
    + sky3 * (around + vec3(0.20, 0.25, 0.33) * fill + vec3(0.55, 0.6, 0.72) * back);
  float shine = (gloss(n, v, key, rough, straight) + wet * gloss(n, v, key, 0.55 * rough, straight)) * arrives;
  shine += 0.35 * open * gloss(n, v, fillFrom, rough, straight) + 0.22 * open * gloss(n, v, backFrom, rough, straight);
  vec3 c = base * diffuse + vec3(2.9, 2.8, 2.7) * shine;
  c += (material == 3 ? 0.10 : 0.045) * open * rimmed * vec3(0.7, 0.8, 1.0);
  if (material == 3) { // the window that is mirrored in an eye makes it look alive
    vec3 mirrored = reflect(-v, n);
    float window = smoothstep(0.972, 0.982, dot(mirrored, normalize(vec3(-0.40, 0.34, 0.85))));
    c += 1.6 * window * smoothstep(0.15, 0.5, open);
  }
  vec3 shown = screen(0.62 * c);
  if (heatTop > 0.0 && material <= 1) shown = heat(error / heatTop) * (0.62 + 0.38 * pow(facing, 0.7)) * mix(0.75, 1.0, open);
  float solid = mix(1.0, 0.10 + 0.75 * pow(1.0 - facing, 2.2), veil);
  colour = vec4(shown, solid);
}`;
