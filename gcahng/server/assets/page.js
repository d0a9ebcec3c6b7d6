"use strict";
// What is searched for stands behind the # of the address, so that searches can be bookmarked and
// the browser's back button returns to the one before. An uploaded picture lasts as long as the page.

const byId = (id) => document.getElementById(id);
const uploads = [];
const server = {pictures: 0, most_bytes: Infinity};
let running = new AbortController();
let depth = 0;
// The pictures that are shown, the most similar first; those to start from have no similarity.
let found = [];
// Where the drag of a rectangle began.
let corner = null;

const asked = () => new URLSearchParams(location.hash.slice(1));
const baseName = (path) => path.split(/[\\/]/).pop();
const count = (number) => number.toLocaleString("en");
const decimals = (number) => number.toFixed(3).replace("-", "−");

// The address of another search with the present label and number of results.
function address(change) {
  const next = new URLSearchParams(change);
  if (byId("label").value) next.set("label", byId("label").value);
  if (byId("k").value !== "24") next.set("k", byId("k").value);
  return `#${next}`;
}

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

function say(sentence, wrong = false) {
  byId("message").textContent = sentence;
  byId("message").classList.toggle("wrong", wrong);
}

async function get(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is gcahng serve still running?");
  }
  const content = await answer.json();
  if (answer.ok) return content;
  throw new Error(`${content.error[0].toUpperCase()}${content.error.slice(1)}.`);
}

// One picture that was found: a link that searches with it, and a link to the file.
function card(picture) {
  const name = baseName(picture.path);
  const similar = picture.similarity;
  const search = make("a", "search");
  search.href = address({id: picture.id});
  search.draggable = false;
  search.title = picture.path;
  search.setAttribute("aria-keyshortcuts", "O");
  const words = [picture.label, name, similar === undefined ? "" : `similarity ${decimals(similar)}`];
  search.ariaLabel = `Search with ${words.filter(Boolean).join(", ")}`;
  const image = make("img");
  image.src = `thumbnail/${picture.id}`;
  image.alt = "";
  image.draggable = false;
  search.append(image);
  const line = make("span", "words");
  line.append(make("b", "", picture.label ?? ""));
  if (similar !== undefined) {
    const bar = make("span", "bar");
    bar.append(make("i"));
    bar.firstChild.style.width = `${100 * Math.max(0, Math.min(1, similar))}%`;
    search.append(bar);
    line.append(make("span", "similarity", decimals(similar)));
  }
  line.append(make("span", "name", name));
  search.append(line);
  const open = make("a", "open", "Open");
  open.href = `picture/${picture.id}`;
  open.target = "_blank";
  open.rel = "noopener";
  // One tab stop a picture: the key O opens its file.
  open.tabIndex = -1;
  open.ariaLabel = `Open ${name}`;
  const item = make("li");
  item.append(search, open);
  return item;
}

function showQuery(query, upload) {
  showPart(false);
  byId("drop").classList.toggle("filled", Boolean(query || upload));
  byId("invitation").hidden = Boolean(query || upload);
  for (const id of ["picture", "crop", "caption", "again"]) byId(id).hidden = !(query || upload);
  byId("original").hidden = !query;
  byId("again").href = address({});
  byId("caption").replaceChildren();
  if (query) {
    byId("shown").src = `thumbnail/${query.id}`;
    byId("original").href = `picture/${query.id}`;
    byId("caption").append(make("b", "", query.label ?? ""), baseName(query.path));
  } else if (upload) {
    byId("shown").src = upload.preview;
    byId("caption").append(make("b", "", "Your picture"), upload.file.name);
  }
}

function showFound(pictures) {
  found = pictures;
  byId("found").replaceChildren(...found.map(card));
  showSimilar();
}

// Of what was found, show what is similar enough.
function showSimilar() {
  const compared = found[0]?.similarity !== undefined;
  const least = byId("least").valueAsNumber;
  const similar = compared && least ? found.filter((one) => one.similarity >= least) : found;
  [...byId("found").children].forEach((item, at) => { item.hidden = at >= similar.length; });
  byId("filter").hidden = !compared;
  byId("bound").textContent = least ? least.toFixed(2) : "(any)";
  byId("least").ariaValueText = `${byId("bound").textContent}: ${similar.length} of ${found.length}`;
  byId("heading").textContent = compared ? headline(similar.length)
    : found.length ? "Or start from one of these" : "";
  byId("summary").textContent = compared && !byId("label").value ? listLabels(similar) : "";
  URL.revokeObjectURL(byId("csv").href);
  byId("csv").href = URL.createObjectURL(new Blob([table(similar)], {type: "text/csv"}));
}

function headline(shown) {
  const label = byId("label").value && ` with the label ${byId("label").value}`;
  if (shown === 1 && found.length === 1) return `The most similar picture${label}`;
  const some = shown === found.length ? "The" : `${count(shown)} of the`;
  return `${some} ${count(found.length)} most similar pictures${label}`;
}

function listLabels(pictures) {
  const labels = new Map();
  for (const {label} of pictures) if (label !== null) labels.set(label, (labels.get(label) ?? 0) + 1);
  const most = [...labels].sort((a, b) => b[1] - a[1]);
  const listed = most.slice(0, 6).map(([label, number]) => `${number} × ${label}`);
  if (most.length > 6) listed.push(`${most.length - 6} more label${most.length > 7 ? "s" : ""}`);
  return listed.join(", ");
}

// The pictures as CSV.
function table(pictures) {
  const quoted = (text) => `"${(text ?? "").replaceAll('"', '""')}"`;
  const rows = pictures.map((one) => [quoted(one.path), quoted(one.label), one.similarity].join());
  return ["path,label,similarity", ...rows, ""].join("\n");
}

function showSettings(wanted) {
  for (const [id, value] of [["label", wanted.get("label") ?? ""], ["k", wanted.get("k") ?? "24"]]) {
    const options = [...byId(id).options];
    if (!options.some((option) => option.value === value)) byId(id).add(new Option(value));
    byId(id).value = value;
  }
}

// Do what the address says.
async function show() {
  running.abort();
  running = new AbortController();
  const {signal} = running;
  const wanted = asked();
  showSettings(wanted);
  const upload = uploads[wanted.get("upload")];
  const lost = wanted.has("upload") && !upload;
  const parameters = new URLSearchParams({k: byId("k").value, label: byId("label").value});
  byId("found").ariaBusy = "true";
  const patience = setTimeout(() => say("Searching…"), 400);
  try {
    if (upload) {
      showQuery(null, upload);
      const options = {method: "POST", body: upload.file, signal,
        headers: {"content-type": "application/octet-stream"}};
      showFound((await get(`search?${parameters}`, options)).neighbours);
    } else if (wanted.has("id")) {
      parameters.set("id", wanted.get("id"));
      const {query, neighbours} = await get(`search?${parameters}`, {signal});
      showQuery(query, null);
      showFound(neighbours);
    } else {
      showQuery(null, null);
      showFound((await get(`pictures?${parameters}`, {signal})).pictures);
    }
    clearTimeout(patience);
    say(lost ? "That picture was not kept when the page was closed. Choose it again." : "");
    if (!found.length)
      say(server.pictures ? "No picture was found." : "The store has no pictures yet: run gcahng index.");
  } catch (error) {
    clearTimeout(patience);
    if (error.name === "AbortError") return;
    if (!upload) showQuery(null, null);
    showFound([]);
    say(error.message, true);
  }
  byId("found").ariaBusy = "false";
}

function search(file) {
  if (!file) return;
  if (file.size > server.most_bytes) {
    const most = count(Math.round(server.most_bytes / 2 ** 20 * 10) / 10);
    say(`${file.name} is too large: more than ${most} MiB.`, true);
    return;
  }
  uploads.push({file, preview: URL.createObjectURL(file)});
  location.hash = address({upload: uploads.length - 1});
}

// The part of the picture to search with, in percent: the fields say which, the frame shows it.
const sides = ["left", "top", "width", "height"];

function showPart(open) {
  byId("part").hidden = byId("frame").hidden = !open;
  byId("crop").ariaExpanded = open;
  byId("drop").classList.toggle("cropping", open);
  byId("part").reset();
  drawFrame();
}

function drawFrame() {
  for (const side of sides) byId("frame").style[side] = `${byId(side).value}%`;
}

// Where on the picture a pointer is, in percent.
function place({clientX, clientY}) {
  const box = byId("picture").getBoundingClientRect();
  const percent = (part) => Math.round(100 * Math.max(0, Math.min(1, part)));
  return [percent((clientX - box.x) / box.width), percent((clientY - box.y) / box.height)];
}

function drag(event) {
  const [x, y] = place(event);
  const part = [Math.min(x, corner[0]), Math.min(y, corner[1]),
    Math.abs(x - corner[0]), Math.abs(y - corner[1])];
  sides.forEach((side, at) => { byId(side).value = part[at]; });
  byId("frame").hidden = false;
  drawFrame();
}

// Search with the part as a picture of its own, not larger than any network needs.
async function searchPart() {
  const [left, top, width, height] = sides.map((side) => byId(side).valueAsNumber / 100);
  const whole = new Image();
  whole.src = byId("original").hidden ? byId("shown").src : byId("original").href;
  try {
    await whole.decode();
  } catch {
    say("The picture cannot be opened: its file is gone or was changed.", true);
    return;
  }
  const x = left * whole.naturalWidth, wide = Math.min(width, 1 - left) * whole.naturalWidth;
  const y = top * whole.naturalHeight, high = Math.min(height, 1 - top) * whole.naturalHeight;
  const scale = Math.min(1, 2048 / Math.max(wide, high));
  const canvas = make("canvas");
  canvas.width = Math.max(1, Math.round(wide * scale));
  canvas.height = Math.max(1, Math.round(high * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(whole, x, y, wide, high, 0, 0, canvas.width, canvas.height);
  const name = `Part of ${byId("caption").lastChild.textContent.replace(/^Part of /, "")}`;
  canvas.toBlob((content) => search(new File([content], name)), "image/jpeg", 0.95);
}

// Move among the results as in a table.
function move(event) {
  const links = [...document.querySelectorAll("#found li:not([hidden]) .search")];
  const at = links.indexOf(document.activeElement);
  const columns = links.filter((link) => link.getBoundingClientRect().top
    === links[0].getBoundingClientRect().top).length;
  const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns};
  const next = links[at + steps[event.key]];
  if (at < 0 || !next) return;
  event.preventDefault();
  next.focus();
}

function goBack() {
  if (depth > 0) history.back();
  else if (asked().has("id") || asked().has("upload")) location.hash = address({});
}

async function start() {
  try {
    const [health, {labels}] = await Promise.all([get("health"), get("labels")]);
    Object.assign(server, health);
    byId("about").textContent = `${count(health.pictures)} pictures in ${health.store}, `
      + `model ${baseName(health.model)}`;
    byId("label").options[0].text = `All labels (${count(health.pictures)})`;
    for (const {label, pictures} of labels)
      byId("label").add(new Option(`${label} (${count(pictures)})`, label));
    byId("label").disabled = !labels.length;
  } catch (error) {
    say(error.message, true);
    return;
  }
  depth = history.state?.depth ?? 0;
  history.replaceState({depth}, "");
  await show();
}

window.addEventListener("hashchange", async () => {
  if (history.state?.depth === undefined) history.replaceState({depth: depth + 1}, "");
  depth = history.state.depth;
  await show();
  window.scrollTo(0, 0);
  // The next Tab leads to the first result.
  byId("heading").focus({preventScroll: true});
});
for (const id of ["label", "k"]) byId(id).addEventListener("change", () => {
  const wanted = asked();
  wanted.delete("label");
  wanted.delete("k");
  history.replaceState(history.state, "", address(wanted));
  show();
});
byId("file").addEventListener("change", (event) => {
  search(event.target.files[0]);
  event.target.value = "";
});
byId("least").addEventListener("input", showSimilar);
byId("shown").addEventListener("error", () => { byId("picture").hidden = byId("crop").hidden = true; });
byId("shown").addEventListener("load", ({target}) => {
  byId("picture").style.setProperty("--ratio", target.naturalWidth / target.naturalHeight);
});
byId("picture").addEventListener("pointerdown", (event) => {
  // Until the part is asked for, a finger scrolls the page.
  if (event.button || (event.pointerType === "touch" && byId("part").hidden)) return;
  event.preventDefault();
  byId("picture").setPointerCapture(event.pointerId);
  corner = place(event);
  drag(event);
});
byId("picture").addEventListener("pointermove", (event) => { if (corner) drag(event); });
byId("picture").addEventListener("pointerup", () => {
  if (!corner) return;
  corner = null;
  if (byId("width").value > 1 && byId("height").value > 1) searchPart();
  else showPart(!byId("part").hidden);
});
byId("picture").addEventListener("pointercancel", () => { corner = null; });
byId("crop").addEventListener("click", () => {
  showPart(byId("part").hidden);
  byId("left").focus();
  byId("left").select();
});
byId("part").addEventListener("input", drawFrame);
byId("part").addEventListener("submit", (event) => {
  event.preventDefault();
  searchPart();
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) search(event.clipboardData.files[0]);
  else if (!event.target.closest?.("input")) say("What was pasted is not a picture.", true);
});
document.addEventListener("keydown", (event) => {
  if (event.target.closest?.("select")) return;
  if (event.key === "Escape" && !byId("part").hidden) {
    showPart(false);
    byId("crop").focus();
  } else if (event.key === "Escape") goBack();
  else if (event.key === "o" && !event.ctrlKey && !event.metaKey)
    document.querySelector(".search:focus + .open")?.click();
  else if (event.key.startsWith("Arrow")) move(event);
});
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  if (event.dataTransfer.files.length) search(event.dataTransfer.files[0]);
  else say("What was dropped is not a picture file: save it first, or copy and paste it.", true);
});
start();
