// Controls, texts and legends around the graph, and start-up.

/** Update the labels of the colour scale and its explanation. */
function showKey() {
  const { name, directed, low, high } = state.source;
  const places = high - low < 0.05 ? 4 : 2;
  const spans = high - low < NARROW ? ` – the whole scale spans only ${(high - low).toPrecision(2)}` : "";
  byId("scale-name").textContent = name[0].toUpperCase() + name.slice(1) + spans;
  byId("ticks").replaceChildren(...[low, (low + high) / 2, high].map((value) =>
    make("span", {}, decimals(value, places))));
  byId("reading").textContent = directed
    ? "An arrow leads to the node that attends. Weights of 0, as of masked pairs, are never drawn."
    : "A pair is drawn if it is among the strongest of either node.";
}

/** Set the threshold's range to the drawable weights, with a round step size. */
function fitThreshold() {
  const slider = byId("threshold");
  const { low, high } = state.source;
  const range = high - low || Math.abs(high) || 1;
  const places = Math.max(0, 2 - Math.floor(Math.log10(range)));
  const step = 10 ** -places;
  const least = Math.max((Math.ceil(low / step) - 1) * step, state.source.directed ? 0 : -Infinity);
  Object.assign(slider, { step: step.toFixed(places) });
  slider.min = least.toFixed(places);
  slider.max = (Math.ceil(high / step) * step).toFixed(places);
  slider.value = slider.min;
}

function showValues() {
  const attention = state.measure === "attention";
  const layer = DATA.attention[byId("layer").valueAsNumber];
  const head = byId("head").valueAsNumber;
  const say = (id, text) => {
    byId(`${id}-value`).textContent = text;
    byId(id).setAttribute("aria-valuetext", text);
  };
  say("layer", attention ? `${layer.layer}` : "–");
  say("head", attention ? (head ? `${head}` : "mean of heads") : "–");
  say("top", byId("top").value);
  say("threshold", byId("threshold").value.replace("-", "−"));
}

/** Update controls, scale and edges after the measure, layer or head has changed. */
function changeSource() {
  state.measure = document.querySelector("[name=measure]:checked").value;
  const attention = state.measure === "attention";
  const layer = DATA.attention[byId("layer").valueAsNumber];
  byId("layer").disabled = !attention || DATA.attention.length < 2;
  byId("head").disabled = !attention || layer.heads.length < 2;
  byId("head").max = layer ? layer.heads.length : 0;
  state.source = chosenSource();
  fitThreshold();
  showKey();
  redraw();
}

function redraw() {
  showValues();
  draw();
}

function addControls() {
  for (const radio of document.querySelectorAll("[name=measure]")) {
    // DATA.attention has only layers with attention, possibly none.
    radio.disabled = DATA[radio.value] === null || DATA[radio.value].length === 0;
    if (radio.disabled) radio.parentElement.append(" (not in this graph)");
    radio.addEventListener("change", changeSource);
  }
  document.querySelector("[name=measure]:enabled").checked = true;
  byId("layer").max = Math.max(0, DATA.attention.length - 1);
  byId("top").max = Math.max(1, Math.min(MAX_TOP, SIZE - 1));
  for (const id of ["layer", "head"]) byId(id).addEventListener("input", changeSource);
  for (const id of ["top", "threshold"]) byId(id).addEventListener("input", redraw);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") keep(null);
  });
}

function addWords() {
  const looks = DATA.colours.length * (NODES[0].image ? RINGS.length : 1);
  const mark = NODES[0].image ? "The ring around a picture" : "The colour of a node";
  byId("summary").textContent = `${plural(SIZE, "sample", "samples")} of `
    + `${plural(DATA.classes, "class", "classes")}, embedded in ${DATA.channels} channels; `
    + `each pair is an edge, and the strongest are drawn. ${mark} is its class`
    + `${DATA.classes > looks ? "; some classes look alike" : ""}. ${DATA.saturated ?? ""}`;
  const shares = DATA.shares.map((share) => `${Math.round(100 * share)} %`).join(" and ");
  byId("placement").textContent = "Placed by the first two principal components of the embeddings "
    + `(${shares} of their variance), each stretched to fill the picture; nodes that would cover `
    + "each other are moved apart.";
}

function addLegends() {
  const firsts = NODES.filter(({ class: label }, index) =>
    NODES.findIndex((node) => node.class === label) === index);
  byId("classes").append(...firsts.map((node) =>
    make("li", {}, swatch(node.class), node.name)));
  const gaps = "repeating-linear-gradient(90deg, transparent 0 14px, #fff 14px 20px), ";
  for (const kind of ["other", "same"]) {
    const same = kind === "same";
    document.querySelector(`.scale.${kind}`).style.background =
      `${same ? gaps : ""}linear-gradient(90deg, ${shade(same, 0)}, ${shade(same, 1)})`;
  }
}

function swatch(label) {
  const box = make("span", { className: "face" });
  paint(box, label, false);
  return box;
}

addNodes();
watchEdges();
addControls();
addWords();
addLegends();
place();
changeSource();
new ResizeObserver(fitWindow).observe(byId("picture"));
