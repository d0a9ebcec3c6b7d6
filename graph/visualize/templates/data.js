"use strict";
// Draws one batch graph. Class names are untrusted input, so they are only set as text.

const DATA = JSON.parse(document.getElementById("data").textContent);
const NODES = DATA.nodes;
const SIZE = NODES.length;
const MAX_TOP = 20;
// With more classes than colours, colours repeat with dashed, dotted and double rings.
const RINGS = ["solid", "dashed", "dotted", "double"];
// Colours from weak to strong edges.
const RAMPS = { other: [[176, 208, 230], [0, 62, 115]], same: [[247, 196, 140], [140, 50, 0]] };
const DASHES = [7, 4];
const WIDTHS = [0.5, 2.5];
const MEASURES = {
  coefficient: "mean channel coefficient",
  correlation: "Pearson correlation of the embeddings",
};

if (DATA.saturated) MEASURES.coefficient += " (saturated)";
// A scale over a smaller range stretches what is nearly the same, as in the figures.
const NARROW = 0.002;

const byId = (id) => document.getElementById(id);
// A pick is {a} for a node or {a, b} for the edge a → b.
const state = { measure: "", source: null, edges: [], points: [], size: 0, width: 0, height: 0,
  hover: null, kept: null };

/** Decode a base64 string to a typed array. */
function unpack(packed, Type) {
  const text = atob(packed);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return new Type(bytes.buffer);
}

/** Cache `make()` by key, so that data is decoded on first use. */
const made = new Map();
function once(key, make) {
  if (!made.has(key)) made.set(key, make());
  return made.get(key);
}

/** Index of the pair {i, j} among the pairs i ≤ j by row. */
function pairNumber(i, j) {
  const [low, high] = i < j ? [i, j] : [j, i];
  return low * SIZE - (low * (low - 1)) / 2 + high - low;
}

/** Expand weights of the pairs i ≤ j to all ordered pairs, at i * SIZE + j. */
function pairWeights({ low, step, packed }) {
  const numbers = unpack(packed, Uint16Array);
  return Float64Array.from({ length: SIZE * SIZE }, (_, at) =>
    low + step * numbers[pairNumber(Math.floor(at / SIZE), at % SIZE)]);
}

function headWeights(layer, head) {
  return once(`head ${layer} ${head}`, () => {
    const { low, step, packed } = DATA.attention[layer].heads[head - 1];
    return Float64Array.from(unpack(packed, Uint16Array), (number) => low + step * number);
  });
}

/** Attention of one head of a layer, counted from 1; 0 is the mean over heads. */
function attentionWeights(layer, head) {
  if (head > 0) return headWeights(layer, head);
  const heads = DATA.attention[layer].heads.map((_, at) => headWeights(layer, at + 1));
  return heads[0].map((_, at) => heads.reduce((sum, one) => sum + one[at], 0) / heads.length);
}

function attentionName(layer, head) {
  const { layer: number, heads } = DATA.attention[layer];
  const which = head ? `head ${head}` : heads.length > 1 ? "mean of its heads" : "its only head";
  return `attention of layer ${number}, ${which}`;
}

/** The weights selected by the controls, with name and rankings. */
function chosenSource() {
  const [layer, head] = [byId("layer").valueAsNumber, byId("head").valueAsNumber];
  if (state.measure !== "attention") return sourceOf(state.measure);
  return once(`attention ${layer} ${head}`, () =>
    ranked(attentionName(layer, head), attentionWeights(layer, head), true));
}

function sourceOf(measure) {
  return once(measure, () => ranked(MEASURES[measure], pairWeights(DATA[measure]), false));
}

/** Add each node's strongest senders and the range of drawable weights. */
function ranked(name, weights, directed) {
  const strongest = NODES.map((_, node) => strongestOf(weights, node));
  const drawable = strongest.flatMap((senders, node) =>
    senders.map((sender) => weights[sender * SIZE + node]));
  const low = drawable.reduce((least, weight) => Math.min(least, weight), Infinity);
  const high = drawable.reduce((most, weight) => Math.max(most, weight), -Infinity);
  return { name, weights, directed, strongest, low, high };
}

/** Senders of a node's largest weights, in descending order; ties by node number. */
function strongestOf(weights, node) {
  const found = [];
  for (let sender = 0; sender < SIZE; sender++) {
    if (sender === node) continue;
    const weight = weights[sender * SIZE + node];
    let at = found.length;
    while (at > 0 && weights[found[at - 1] * SIZE + node] < weight) at--;
    if (at < MAX_TOP) found.splice(at, 0, sender);
    if (found.length > MAX_TOP) found.pop();
  }
  return found;
}

/** Strongest edges of each node above the threshold, in ascending order of weight. */
function selectEdges({ weights, directed, strongest }, top, threshold) {
  const edges = new Map();
  strongest.forEach((senders, node) => {
    for (const sender of senders.slice(0, top)) {
      const weight = weights[sender * SIZE + node];
      if (weight <= threshold) break;
      // Both nodes of an undirected pair may select it; store it once.
      const [a, b] = directed || sender < node ? [sender, node] : [node, sender];
      edges.set(a * SIZE + b, { a, b, weight, same: NODES[a].class === NODES[b].class });
    }
  });
  return [...edges.values()].sort((one, other) => one.weight - other.weight);
}
