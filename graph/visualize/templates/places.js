// Positions of nodes and edges.

/** Scale node positions to the window and move overlapping nodes apart. */
function place() {
  const { clientWidth: width, clientHeight: height } = byId("picture");
  const size = Math.max(11, Math.min(46, Math.sqrt((0.34 * width * height) / SIZE)));
  const edge = size / 2 + 5;
  const fit = (share, length) => edge + share * (length - 2 * edge);
  Object.assign(state, { size, width, height });
  state.points = NODES.map(({ place: [x, y] }) => ({ x: fit(x, width), y: fit(1 - y, height) }));
  for (let round = 0; round < 150; round++) {
    if (!spread(state.points, 1.14 * size, edge)) break;
  }
  byId("nodes").style.setProperty("--size", `${size}px`);
  [...byId("nodes").children].forEach((node, index) => {
    const { x, y } = state.points[index];
    Object.assign(node.style, { left: `${x}px`, top: `${y}px` });
  });
}

/** Push apart nodes nearer than `gap`, once; return whether any node moved. */
function spread(points, gap, edge) {
  let moved = false;
  for (let i = 0; i < SIZE; i++) {
    for (let j = 0; j < i; j++) {
      let [dx, dy] = [points[i].x - points[j].x, points[i].y - points[j].y];
      if (Math.abs(dx) >= gap || Math.abs(dy) >= gap) continue;
      // Coinciding nodes have no direction to move in; choose one per node.
      if (dx === 0 && dy === 0) [dx, dy] = [Math.cos(i), Math.sin(i)];
      const distance = Math.hypot(dx, dy);
      if (distance >= gap - 0.5) continue;
      const push = (gap - distance) / 2 / distance;
      shift(points[i], dx * push, dy * push, edge);
      shift(points[j], -dx * push, -dy * push, edge);
      moved = true;
    }
  }
  return moved;
}

function shift(point, dx, dy, edge) {
  point.x = Math.min(state.width - edge, Math.max(edge, point.x + dx));
  point.y = Math.min(state.height - edge, Math.max(edge, point.y + dy));
}

/** Control point of an edge; directed edges are curved, so that both directions are visible. */
function bend({ a, b }) {
  const [from, to] = [state.points[a], state.points[b]];
  const by = state.source.directed ? 0.12 : 0;
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  return { x: from.x + dx / 2 + by * dy, y: from.y + dy / 2 - by * dx };
}

/** Point on an edge at the fraction `share` of its length. */
function along(edge, share) {
  const [from, middle, to] = [state.points[edge.a], bend(edge), state.points[edge.b]];
  const rest = 1 - share;
  const mix = (axis) =>
    rest * rest * from[axis] + 2 * rest * share * middle[axis] + share * share * to[axis];
  return { x: mix("x"), y: mix("y") };
}

function fitWindow() {
  const { clientWidth: width, clientHeight: height } = byId("picture");
  // The observer also fires on registration, when nothing has changed.
  if (width === state.width && height === state.height) return;
  place();
  draw();
}
