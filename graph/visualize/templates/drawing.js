// Draws edges on two canvases (all edges, selected edges) below the nodes, which are buttons.

/** Position of a weight in the range of drawable weights, from 0 to 1. */
function strength(weight) {
  const { low, high } = state.source;
  return high > low ? (weight - low) / (high - low) : 1;
}

function shade(same, share) {
  const [weak, strong] = same ? RAMPS.same : RAMPS.other;
  return `rgb(${weak.map((part, at) => Math.round(part + share * (strong[at] - part))).join(" ")})`;
}

/** Clear a canvas and resize it to the graph, at the screen's resolution. */
function clean(canvas) {
  const { clientWidth: width, clientHeight: height } = byId("picture");
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  return pen;
}

/** Draw edges in the given order. */
function drawEdges(canvas, edges, wider = 0) {
  const pen = clean(canvas);
  // With thousands of edges, thin lines are clearer and faster to draw.
  const thinner = Math.min(1, Math.sqrt(1000 / edges.length));
  for (const edge of edges) {
    const share = strength(edge.weight);
    pen.strokeStyle = shade(edge.same, share);
    pen.lineWidth = thinner * (WIDTHS[0] + share * (WIDTHS[1] - WIDTHS[0])) + wider;
    pen.setLineDash(edge.same ? DASHES : []);
    stroke(pen, edge);
  }
  return pen;
}

function stroke(pen, edge) {
  const [from, to] = [state.points[edge.a], state.points[edge.b]];
  pen.beginPath();
  pen.moveTo(from.x, from.y);
  if (state.source.directed) pen.quadraticCurveTo(...Object.values(bend(edge)), to.x, to.y);
  else pen.lineTo(to.x, to.y);
  pen.stroke();
}

/** Draw an arrow head just outside the receiver's image. */
function drawArrow(pen, edge) {
  const to = state.points[edge.b];
  const length = Math.hypot(to.x - state.points[edge.a].x, to.y - state.points[edge.a].y);
  const tip = along(edge, Math.max(0.5, 1 - (0.6 * state.size + 2) / length));
  const tail = along(edge, Math.max(0.4, 1 - (0.6 * state.size + 12) / length));
  const [dx, dy] = [tip.x - tail.x, tip.y - tail.y];
  pen.fillStyle = shade(edge.same, strength(edge.weight));
  pen.beginPath();
  pen.moveTo(tip.x, tip.y);
  pen.lineTo(tail.x - dy / 2, tail.y + dx / 2);
  pen.lineTo(tail.x + dy / 2, tail.y - dx / 2);
  pen.fill();
}

/** Redraw after a control or the size has changed. */
function draw() {
  const { directed } = state.source;
  const possible = directed ? SIZE * (SIZE - 1) : (SIZE * (SIZE - 1)) / 2;
  const [top, threshold] = [byId("top").valueAsNumber, byId("threshold").valueAsNumber];
  state.edges = selectEdges(state.source, top, threshold);
  drawEdges(byId("edges"), state.edges);
  byId("count").textContent = `Drawn: ${state.edges.length.toLocaleString("en")} of `
    + `${possible.toLocaleString("en")} ${directed ? "edges, one each way" : "pairs"}`;
  drawPicked();
}

const isSame = (pick, other) => pick?.a === other?.a && pick?.b === other?.b;
const isNode = (pick) => pick !== null && pick.b === undefined;
const touches = (edge, pick) => (pick.b === undefined
  ? edge.a === pick.a || edge.b === pick.a
  : samePair(edge, pick));
const samePair = (edge, pick) => (edge.a === pick.a && edge.b === pick.b)
  || (!state.source.directed && edge.a === pick.b && edge.b === pick.a);

/** Highlight the pinned or hovered node or edge, its edges and neighbours, and show its card. */
function drawPicked() {
  const picked = state.kept ?? state.hover;
  const edges = picked ? state.edges.filter((edge) => touches(edge, picked)) : [];
  const pen = drawEdges(byId("picked"), edges, 1);
  // Within a pinned neighbourhood, a single edge can be hovered.
  const pointed = state.kept ? state.hover : null;
  for (const edge of edges) if (pointed && touches(edge, pointed)) emphasise(pen, edge);
  if (state.source.directed) edges.forEach((edge) => drawArrow(pen, edge));
  byId("picture").classList.toggle("picking", picked !== null);
  byId("picture").classList.toggle("keeping", state.kept !== null);
  markNodes(picked, edges);
  showCard();
}

function emphasise(pen, edge) {
  pen.setLineDash(edge.same ? DASHES : []);
  pen.lineWidth = WIDTHS[1] + 4;
  pen.strokeStyle = shade(edge.same, strength(edge.weight));
  stroke(pen, edge);
}

function markNodes(picked, edges) {
  const near = new Set(edges.flatMap(({ a, b }) => [a, b]));
  const ends = [picked, state.hover].flatMap((pick) => (pick ? [pick.a, pick.b] : []));
  [...byId("nodes").children].forEach((node, index) => {
    node.classList.toggle("near", near.has(index) || ends.includes(index));
    node.classList.toggle("chosen", ends.includes(index));
    node.setAttribute("aria-pressed", String(isNode(state.kept) && state.kept.a === index));
  });
}
