// Details of the hovered or pinned node or edge.

/** Create an element with properties, attributes (under `set`) and children; strings are text. */
function make(tag, { set = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(set)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Create a node's image with a ring in its class colour, or a dot with its number. */
function face(index, size) {
  const { image, class: label } = NODES[index];
  const box = make("span", { className: `face ${size}` });
  paint(box, label, image === null);
  box.append(image ? make("img", { src: image, alt: "" }) : String(index));
  return box;
}

function paint(element, label, filled) {
  const { frame, ink } = DATA.colours[label % DATA.colours.length];
  element.style.borderColor = frame;
  element.style.borderStyle = RINGS[Math.floor(label / DATA.colours.length) % RINGS.length];
  if (!filled) return;
  element.style.background = frame;
  element.style.borderColor = "#fff";
  element.style.color = ink;
}

const plural = (count, one, more) => `${count} ${count === 1 ? one : more}`;
const decimals = (value, places = 3) => value.toFixed(places).replace("-", "−");

function showCard() {
  const pick = state.hover ?? state.kept;
  const content = !pick ? hint() : isNode(pick) ? nodeCard(pick.a) : edgeCard(pick);
  if (pick && isSame(pick, state.kept)) content.push(letGo());
  byId("card").replaceChildren(...content);
}

function hint() {
  return [make("h2", {}, "Point at a node or at an edge"),
    make("p", { className: "note" }, "A node shows its class and its nearest neighbours, an edge "
      + "its weight and its coefficients. Click to keep what you see; click again, on the "
      + "background or press Escape to let it go. With the keyboard: Tab to the pictures, arrow "
      + "keys to move, Enter to keep.")];
}

function letGo() {
  return make("p", { className: "kept" },
    "Kept. Click again, on the background or press Escape to let it go.");
}

function nodeCard(index) {
  const { name, class: label, near } = NODES[index];
  const others = NODES.filter((node) => node.class === label).length - 1;
  const drawn = state.edges.filter((edge) => edge.a === index || edge.b === index).length;
  const words = make("div", {}, make("h2", { className: "name" }, name),
    make("p", { className: "note" }, `Node ${index}`),
    make("p", { className: "note" }, `${plural(others, "other", "others")} of its class`),
    make("p", { className: "note" }, `${plural(drawn, "edge", "edges")} drawn`));
  const card = [make("div", { className: "node-head" }, face(index, "large"), words)];
  const kept = isNode(state.kept) ? state.kept.a : index;
  if (kept !== index) {
    card.push(make("h3", {}, `With the kept node ${kept}`), ...pairDetails(kept, index));
  }
  const nearest = near.map(([other, cosine]) => neighbour(index, other, cosine));
  card.push(make("h3", {}, "Nearest by cosine of the embeddings"),
    make("ol", { className: "near" }, ...nearest));
  return card;
}

function neighbour(index, other, cosine) {
  const right = NODES[index].class === NODES[other].class;
  const words = right ? "same class" : "other class";
  const mark = make("b", { className: right ? "right" : "wrong", title: words,
    set: { "aria-label": `${words}, cosine ${decimals(cosine, 2)}` } },
  `${decimals(cosine, 2)} ${right ? "✓" : "✗"}`);
  const name = make("span", { className: "name" }, NODES[other].name);
  return make("li", {}, face(other, "small"), name, mark);
}

function edgeCard({ a, b }) {
  const { directed } = state.source;
  const right = NODES[a].class === NODES[b].class;
  const figure = (index) => make("div", {}, face(index, "large"),
    make("span", { className: "name" }, make("b", {}, `${index} `), NODES[index].name));
  return [make("h2", {}, directed ? `Edge ${a} → ${b}` : `Pair ${a} – ${b}`),
    make("p", { className: "note" }, (right ? "same class" : "different classes")
      + (directed ? `; node ${b} attends to node ${a}` : "")),
    make("div", { className: "pair" }, figure(a), figure(b)), ...pairDetails(a, b)];
}

/** Details of a pair: the drawn weight, the other weights, the coefficient profile. */
function pairDetails(a, b) {
  const at = a * SIZE + b;
  const { name, weights, directed } = state.source;
  const rows = [[directed ? `${name}, ${a} → ${b}` : name, weights[at]]];
  if (directed) rows.push([`the same, ${b} → ${a}`, weights[b * SIZE + a]]);
  for (const measure of ["coefficient", "correlation"]) {
    if (DATA[measure] && measure !== state.measure) {
      rows.push([MEASURES[measure], sourceOf(measure).weights[at]]);
    }
  }
  const table = make("table", {}, make("tbody", {}, ...rows.map(([what, value], row) =>
    make("tr", { className: row ? "" : "current" }, make("th", { set: { scope: "row" } }, what),
      make("td", {}, decimals(value, directed && row < 2 ? 4 : 3))))));
  return DATA.profile ? [table, ...profile(a, b)] : [table];
}

/** Bar chart of a pair's coefficients, with the mean over all pairs as a tick on each bar. */
function profile(a, b) {
  const { low, step, packed, sizes, mean } = DATA.profile;
  const numbers = once("profile", () => unpack(packed, Uint8Array));
  const start = pairNumber(a, b) * sizes.length;
  const values = sizes.map((_, bar) => low + step * numbers[start + bar]);
  const chart = svg("svg", { viewBox: "-24 -6 304 118", role: "img", class: "profile",
    "aria-label": `Coefficients: ${values.map((value) => value.toFixed(2)).join(" ")}` });
  for (const level of [0, 0.5, 1]) {
    const y = 100 - 100 * level;
    chart.append(svg("line", { x1: 0, x2: 280, y1: y, y2: y, stroke: "#ccc" }),
      svg("text", { x: -4, y: y + 3.5, "text-anchor": "end" }, String(level)));
  }
  const wide = 280 / sizes.length;
  values.forEach((value, bar) => {
    const place = { x: (bar + 0.1) * wide, width: 0.8 * wide };
    chart.append(
      svg("rect", { ...place, y: 100 - 100 * value, height: 100 * value, class: "bar" }),
      svg("rect", { ...place, y: 99 - 100 * mean[bar], height: 2, class: "tick" }),
    );
  });
  return [make("h3", {}, "Coefficients by channel"), chart,
    make("p", { className: "note" }, profileNote(sizes))];
}

function profileNote(sizes) {
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const count = least === most ? most : `${least} or ${most}`;
  const grouped = `Each bar is the mean of ${count} channels next to each other in that order. `;
  return `The most varied of the ${DATA.channels} channels first. ${most > 1 ? grouped : ""}`
    + "Orange ticks: mean of all pairs.";
}

function svg(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}
