// Hovering over and pinning nodes and edges.

function point(pick) {
  if (isSame(pick, state.hover)) return;
  state.hover = pick;
  drawPicked();
}

/** Pin a selection, or unpin it if it is pinned already. */
function keep(pick) {
  state.kept = isSame(pick, state.kept) ? null : pick;
  drawPicked();
}

/** Nearest edge to a point within `reach`, or null. */
function edgeAt(x, y, reach) {
  let [nearest, least] = [null, reach];
  const edges = state.kept ? state.edges.filter((edge) => touches(edge, state.kept)) : state.edges;
  for (const edge of edges) {
    const distance = distanceTo(edge, x, y);
    // Ties go to the later edge, which is drawn on top.
    if (distance <= least) [nearest, least] = [edge, distance];
  }
  return nearest && { a: nearest.a, b: nearest.b };
}

function distanceTo(edge, x, y) {
  const pieces = state.source.directed ? 8 : 1;
  let [least, from] = [Infinity, state.points[edge.a]];
  for (let piece = 1; piece <= pieces; piece++) {
    const to = piece === pieces ? state.points[edge.b] : along(edge, piece / pieces);
    least = Math.min(least, distanceToLine(from, to, x, y));
    from = to;
  }
  return least;
}

function distanceToLine(from, to, x, y) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const share = ((x - from.x) * dx + (y - from.y) * dy) / (dx * dx + dy * dy || 1);
  const inside = Math.min(1, Math.max(0, share));
  return Math.hypot(x - from.x - inside * dx, y - from.y - inside * dy);
}

/** Listen for pointer events on edges; touch uses a larger reach than a mouse. */
function watchEdges() {
  const canvas = byId("edges");
  const at = (event) =>
    edgeAt(event.offsetX, event.offsetY, event.pointerType === "touch" ? 14 : 6);
  canvas.addEventListener("pointermove", (event) => {
    const pick = at(event);
    canvas.style.cursor = pick ? "pointer" : "";
    point(pick);
  });
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("click", (event) => {
    const pick = at(event);
    if (pick || state.kept) keep(pick);
  });
}

/** Add the nodes as buttons: Tab reaches the group, arrow keys move within it. */
function addNodes() {
  NODES.forEach(({ name, class: label, image }, index) => {
    const node = make("button", { type: "button", className: image ? "node" : "node dot",
      tabIndex: index ? -1 : 0,
      set: { "aria-label": `node ${index}, ${name}`, "data-node": index } });
    paint(node, label, !image);
    node.append(image ? make("img", { src: image, alt: "", draggable: false }) : String(index));
    node.addEventListener("pointerenter", () => point({ a: index }));
    node.addEventListener("pointerleave", () => point(null));
    node.addEventListener("focus", () => node.matches(":focus-visible") && point({ a: index }));
    node.addEventListener("blur", () => point(null));
    node.addEventListener("click", () => keep({ a: index }));
    byId("nodes").append(node);
  });
  byId("nodes").addEventListener("keydown", moveFocus);
}

function moveFocus(event) {
  const nodes = [...byId("nodes").children];
  const now = nodes.indexOf(document.activeElement);
  const [next, last] = [now + 1, now - 1 + SIZE];
  const to = { ArrowRight: next, ArrowDown: next, ArrowLeft: last, ArrowUp: last, Home: 0,
    End: SIZE - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  nodes[now].tabIndex = -1;
  nodes[to % SIZE].tabIndex = 0;
  nodes[to % SIZE].focus();
}
