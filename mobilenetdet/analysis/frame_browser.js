"use strict";
// Every frame of a split with its boxes, which the page draws itself. The filter that is set stands
// in the address behind #, so that a view can be kept and sent.

(() => {
const rules = JSON.parse(document.getElementById("frame-data").textContent);
const frames = rules.frames.map((row) => unpackFrame(row, rules));
const isPair = rules.runs.length > 1;
const CHUNK = 24, STEPS = 1000, SVG = "http://www.w3.org/2000/svg";
const find = (id) => document.getElementById(id);
const pictures = frames.map((_, index) => find("picture-" + index));
const scores = frames.flatMap((f) => f.runs.flatMap((run) => run.dets.map((det) => det.score)));
const lowest = scores.reduce((a, b) => Math.min(a, b), 0);
const highest = scores.reduce((a, b) => Math.max(a, b), 1);

// What is shown: errors of a run, or objects by which of the two runs finds them.
const VIEWS = isPair
  ? [["0", "errors of A"], ["1", "errors of B"], ["10", "found by A, missed by B"],
    ["01", "found by B, missed by A"], ["00", "missed by both"], ["11", "found by both"]]
  : [["0", "errors"]];
const SORTS = [["count", "most first"], ["score", "surest false alarm"],
  ["height", "tallest missed"], ["frame", "order of the split"],
  ...(isPair ? [["a", "A has more errors"], ["b", "B has more errors"]] : [])];
const DEFAULTS = {of: "0", class: "", difficulty: rules.explained, kinds: ERROR_KINDS.join(" "),
  from: "", to: "", score: "", sort: "count", find: ""};
let state = {...DEFAULTS}, judged = [], order = [], shown = 0, open = -1;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Where a box is drawn: the size of the picture, or, without one, what the boxes reach over.
function sizeOf(index) {
  if (pictures[index]) return pictures[index].dataset.size.split(" ").map(Number);
  const boxes = [...frames[index].gts, ...frames[index].runs.flatMap((run) => run.dets)];
  return [2, 3].map((side) => Math.ceil(Math.max(100, ...boxes.map(({box}) => box[side]))));
}

function counted(count, one, many) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

function thresholdsOf(run) {
  return rules.classes.map((_, code) =>
    (state.score === "" ? rules.runs[run].thresholds[code] : Number(state.score)));
}

function judgeAll() {
  const thresholds = rules.runs.map((_, run) => thresholdsOf(run));
  judged = frames.map((frame) => rules.runs.map((_, run) =>
    judgeFrame(frame, run, rules, state.difficulty, thresholds[run])));
}

// Whether class and height of an object or a detection are asked for. Heights are whole pixels.
function isAsked({code, height}) {
  const whole = Math.floor(height);
  return code >= 0 && code < rules.classes.length
    && (state.class === "" || code === Number(state.class))
    && (state.from === "" || whole >= Number(state.from))
    && (state.to === "" || whole < Number(state.to));
}

// All that is asked for in a frame, whatever its kind, as {kind, det} or {kind, gt}.
function itemsOf(index, view) {
  const frame = frames[index];
  const gts = (kind) => frame.gts.flatMap((gt, g) => (isAsked(gt) && kind(g)
    ? [{kind: kind(g), gt: g, height: gt.height}] : []));
  if (view.length > 1)
    return gts((g) => ([0, 1].every((run) =>
      judged[index][run].gts[g] === (view[run] === "1" ? "hit" : "missed")) ? "object" : ""));
  const {dets, gts: kinds} = judged[index][view];
  const found = frame.runs[view].dets.flatMap((det, d) => (isAsked(det) && dets[d] !== "below"
    ? [{kind: dets[d], det: d, score: det.score, height: det.height}] : []));
  return [...found, ...gts((g) => (kinds[g] === "missed" ? "missed" : ""))];
}

const isChosen = ({kind}) => kind === "object" || state.kinds.split(" ").includes(kind);
const chosenItems = (index, view = state.of) => itemsOf(index, view).filter(isChosen);

function sortKey(index, chosen) {
  const best = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
  const errors = (run) => chosenItems(index, run).length;
  return {
    count: () => chosen.length,
    score: () => best(chosen.filter((i) => ERROR_KINDS.includes(i.kind) && i.det !== undefined)
      .map((i) => i.score)),
    height: () => best(chosen.filter((i) => i.kind === "missed" || i.kind === "object")
      .map((i) => i.height)),
    frame: () => 0,
    a: () => errors("0") - errors("1"),
    b: () => errors("1") - errors("0"),
  }[state.sort]();
}

function update() {
  judgeAll();
  const totals = Object.fromEntries(KINDS.map((kind) => [kind, 0]));
  const rows = [];
  let count = 0;
  frames.forEach((frame, index) => {
    if (!frame.id.includes(state.find)) return;
    const items = itemsOf(index, state.of), chosen = items.filter(isChosen);
    items.forEach(({kind}) => { totals[kind] += 1; });
    count += chosen.length;
    if (chosen.length) rows.push([sortKey(index, chosen), index]);
  });
  rows.sort(([a, i], [b, j]) => (a === b ? i - j : b > a ? 1 : -1));
  order = rows.map(([, index]) => index);
  for (const kind of KINDS)
    find("count-" + kind).textContent = state.of.length > 1 ? "" : totals[kind].toLocaleString("en");
  const what = state.of.length > 1 ? ["object", "objects"] : ["box", "boxes"];
  find("frame-status").textContent = `${order.length.toLocaleString("en")} of `
    + `${frames.length.toLocaleString("en")} frames, ${counted(count, ...what)}`;
  showControls();
  seen.disconnect();
  find("frame-grid").replaceChildren();
  shown = 0;
  showMore();
  keepState();
}

function showControls() {
  for (const id of ["of", "class", "difficulty", "from", "to", "sort", "find"])
    if (find(id).value !== state[id]) find(id).value = state[id];
  find("kinds").disabled = state.of.length > 1;
  for (const box of find("kinds").querySelectorAll("input"))
    box.checked = state.kinds.split(" ").includes(box.value);
  const text = (run) => rules.classes.map(({name}, code) =>
    `${name} ${thresholdsOf(run)[code].toFixed(2)}`).join(", ");
  const isBest = state.score === "";
  find("score-text").textContent = isBest
    ? rules.runs.map((_, run) => (isPair ? "AB"[run] + ": " : "") + text(run)).join(" · ")
    : Number(state.score).toFixed(3);
  const value = isBest ? Math.min(...thresholdsOf(0)) : Number(state.score);
  if (document.activeElement !== find("score"))
    find("score").value = Math.round(STEPS * (value - lowest) / (highest - lowest));
  find("best").disabled = isBest;
}

// Adds cards while the end of the page is near: thousands at once would take seconds.
function showMore() {
  for (const index of order.slice(shown, shown + CHUNK)) find("frame-grid").append(card(index));
  shown = Math.min(order.length, shown + CHUNK);
}

function card(index) {
  const counts = {};
  for (const {kind} of chosenItems(index)) counts[kind] = (counts[kind] || 0) + 1;
  const what = Object.entries(counts).map(([kind, n]) =>
    (kind === "object" ? counted(n, "object", "objects") : `${n} ${kind}`)).join(", ");
  const made = element("div", {className: "frame-card", tabIndex: 0, onclick: () => show(index)},
    element("p", {}, element("b", {textContent: frames[index].id}), ` ${what}`), views(index));
  made.setAttribute("role", "button");
  made.dataset.index = index;
  seen.observe(made);
  return made;
}

function views(index) {
  return element("div", {className: "frame-views"}, ...rules.runs.map((_, run) => {
    const made = element("div", {className: "frame-view"});
    made.style.aspectRatio = sizeOf(index).join(" / ");
    if (isPair)
      made.append(element("span", {className: "run-name",
        textContent: `${"AB"[run]}: ${rules.runs[run].name}`}));
    return made;
  }));
}

// Pictures and boxes are there while a card is near the window, so that few are decoded at a time.
const seen = new IntersectionObserver((entries) => {
  for (const {target, isIntersecting} of entries) {
    const index = Number(target.dataset.index);
    target.querySelectorAll(".frame-view").forEach((view, run) => {
      view.querySelectorAll("img, svg").forEach((part) => part.remove());
      if (isIntersecting) fill(view, index, run, {});
    });
  }
}, {rootMargin: "500px"});

function fill(view, index, run, {names = false, objects = true}) {
  if (pictures[index] && !view.querySelector("img")) {
    const src = "data:image/jpeg;base64," + pictures[index].textContent;
    view.prepend(element("img", {alt: "", src}));
  }
  const svg = document.createElementNS(SVG, "svg"), [width, height] = sizeOf(index);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `boxes of ${frames[index].id}`);
  const marks = marksOf(index, run);
  for (const mark of marks) {
    if (mark.kind === "hit" && !objects) continue;
    if (mark.asked) svg.append(rectangle(mark, "casing"));
    svg.append(rectangle(mark, mark.kind));
  }
  view.append(svg);
  if (names) addCaptions(svg, marks.filter(({asked, kind}) => asked && kind !== "hit"), width);
}

// Names of the boxes that are asked for, each where no other stands yet, as large on any screen.
function addCaptions(svg, marks, width) {
  const size = 12 * width / Math.max(200, svg.clientWidth), placed = [];
  for (const mark of [...marks].reverse()) {
    const [x1, y1] = mark.box, text = nameOf(mark), long = text.length * size * .6;
    const x = Math.max(2, Math.min(x1, width - long));
    const isFree = (y) => placed.every((other) => Math.abs(other.y - y) > size
      || x > other.x + other.long || other.x > x + long);
    let y = Math.max(size, y1 - 3);
    while (!isFree(y) && y > size) y = Math.max(size, y - size * 1.1);
    if (!isFree(y)) continue;
    placed.push({x, y, long});
    const made = document.createElementNS(SVG, "text");
    made.textContent = text;
    for (const [name, value] of Object.entries({x, y, "font-size": size}))
      made.setAttribute(name, value);
    svg.append(made);
  }
}

function nameOf({type, score, kind}) {
  const known = ["correct", "missed"].includes(kind) ? "" : " " + kind;
  return type + (score === undefined ? "" : " " + score.toFixed(2)) + known;
}

// The boxes of a frame, those on top last; what is not asked for is pale.
function marksOf(index, run) {
  const frame = frames[index], own = judged[index][run];
  const chosen = chosenItems(index, state.of.length > 1 ? state.of : String(run));
  const asked = (key, value) => chosen.some((item) => item[key] === value);
  const gts = frame.gts.map((gt, g) => ({...gt, kind: own.gts[g], gt: g, asked: asked("gt", g)}));
  const dets = frame.runs[run].dets.map((det, d) => ({...det, kind: own.dets[d], det: d,
    about: own.about[d],
    asked: asked("det", d) || (state.of.length > 1 && asked("gt", own.about[d]))}));
  const rank = ({kind, asked: is}) => (is ? 10 : 0)
    + ["region", "ignored", "hit", "correct", ...ERROR_KINDS].indexOf(kind);
  return [...gts, ...dets.filter(({kind}) => kind !== "below")].sort((a, b) => rank(a) - rank(b));
}

function rectangle({box: [x1, y1, x2, y2], asked, kind}, className) {
  const made = document.createElementNS(SVG, "rect");
  const place = {x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1)};
  for (const [name, value] of Object.entries(place)) made.setAttribute(name, value);
  made.setAttribute("class", className + (asked || kind === "region" ? "" : " dim"));
  return made;
}

function show(index) {
  open = index;
  const place = order.indexOf(index) + 1;
  find("frame-title").textContent = `${frames[index].id} (${place} of ${order.length})`;
  find("previous").disabled = place <= 1;
  find("next").disabled = place >= order.length;
  if (!find("frame-dialog").open) find("frame-dialog").showModal();
  find("frame-large").replaceChildren(views(index));
  draw(null);
  find("frame-table").replaceChildren(...rules.runs.map((_, run) => table(index, run)));
  keepState();
}

// Draws the open frame; the mark under the pointer is thick.
function draw(chosen, ofRun = -1) {
  const options = {names: find("names").checked, objects: find("objects").checked};
  find("frame-large").querySelectorAll(".frame-view").forEach((view, run) => {
    view.querySelectorAll("svg").forEach((part) => part.remove());
    fill(view, open, run, options);
    if (run !== ofRun) return;
    const rect = rectangle({...chosen, asked: true}, `${chosen.kind} chosen`);
    view.querySelector("svg").append(rect);
  });
}

function table(index, run) {
  const heading = ["", "kind", "class", "score", "height px", "about"];
  const marks = marksOf(index, run).filter(({kind}) => kind !== "hit" && kind !== "region");
  const rank = ({kind}) => [...ERROR_KINDS, "correct", "ignored"].indexOf(kind);
  marks.sort((a, b) => rank(a) - rank(b) || (b.score || 0) - (a.score || 0));
  const row = (mark) => {
    const gt = mark.about >= 0 ? frames[index].gts[mark.about] : null;
    const cells = [mark.kind, mark.type, mark.score === undefined ? "" : mark.score.toFixed(3),
      Math.floor(mark.height), gt ? `${gt.type}, ${Math.floor(gt.height)} px` : ""];
    return element("tr", {onmouseenter: () => draw(mark, run), onmouseleave: () => draw(null)},
      element("td", {className: "kind-" + mark.kind, textContent: "■"}),
      ...cells.map((textContent) => element("td", {textContent})));
  };
  const head = element("tr", {}, ...heading.map((textContent) => element("th", {textContent})));
  const title = isPair ? [element("caption", {className: "dim",
    textContent: `${"AB"[run]}: ${rules.runs[run].name}`})] : [];
  return element("table", {}, ...title, element("thead", {}, head),
    element("tbody", {}, ...marks.map(row)));
}

function step(by) {
  const place = order.indexOf(open) + by;
  if (place >= 0 && place < order.length) show(order[place]);
}

function keepState() {
  const kept = Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key]);
  const query = new URLSearchParams(kept);
  if (open >= 0) query.set("frame", frames[open].id);
  history.replaceState(null, "", "#" + query);
}

// Takes what stands behind # where it can be, and leaves the rest as it is by default.
function readState() {
  const query = new URLSearchParams(location.hash.slice(1));
  const valid = {of: (v) => VIEWS.some(([key]) => key === v),
    class: (v) => v in rules.classes, difficulty: (v) => rules.difficulties.includes(v),
    kinds: (v) => v === "" || v.split(" ").every((kind) => KINDS.includes(kind)),
    sort: (v) => SORTS.some(([key]) => key === v), find: () => true};
  const isNumber = (v) => v !== "" && Number.isFinite(Number(v));
  state = {...DEFAULTS};
  for (const key of Object.keys(DEFAULTS)) {
    const value = query.get(key);
    if (value !== null && (valid[key] || isNumber)(value)) state[key] = value;
  }
  return frames.findIndex(({id}) => id === query.get("frame"));
}

function set(changes) {
  Object.assign(state, changes);
  update();
}

function moveFocus(by) {
  const cards = [...find("frame-grid").children];
  const next = cards[Math.max(0, cards.indexOf(document.activeElement) + by)];
  if (!next) return;
  next.focus({preventScroll: true});
  next.scrollIntoView({block: "center"});
}

function onKey(event) {
  const inField = ["INPUT", "SELECT"].includes(event.target.tagName)
    && event.target.type !== "checkbox";
  if (event.ctrlKey || event.metaKey || event.altKey || inField) return;
  const isOpen = find("frame-dialog").open, onCard = event.target.matches(".frame-card");
  const toggle = (id) => () => { find(id).click(); };
  const keys = isOpen
    ? {ArrowLeft: () => step(-1), ArrowRight: () => step(1), k: () => step(-1), j: () => step(1),
      n: toggle("names"), o: toggle("objects")}
    : {j: () => moveFocus(1), k: () => moveFocus(-1),
      ...(onCard ? {Enter: () => event.target.click(), " ": () => event.target.click()} : {})};
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

function addControls() {
  const options = (id, pairs) => find(id).append(
    ...pairs.map(([value, textContent]) => element("option", {value, textContent})));
  options("of", VIEWS);
  find("of").parentElement.hidden = !isPair;
  options("class", rules.classes.map(({name}, code) => [String(code), name]));
  options("difficulty", rules.difficulties.map((name) => [name, name]));
  options("sort", SORTS);
  find("kinds").append(...KINDS.map((kind) => element("label", {className: "kind-" + kind},
    element("input", {type: "checkbox", value: kind, onchange: () => set({kinds:
      [...find("kinds").querySelectorAll(":checked")].map((box) => box.value).join(" ")})}),
    kind, element("b", {id: "count-" + kind}))));
  for (const id of ["of", "class", "difficulty", "sort"])
    find(id).onchange = (event) => set({[id]: event.target.value});
  for (const id of ["from", "to", "find"])
    find(id).oninput = (event) => set({[id]: event.target.value});
  let waiting = 0;
  find("score").oninput = (event) => {
    cancelAnimationFrame(waiting);
    const score = lowest + (highest - lowest) * event.target.value / STEPS;
    waiting = requestAnimationFrame(() => set({score: String(score)}));
  };
  find("best").onclick = () => set({score: ""});
  find("previous").onclick = () => step(-1);
  find("next").onclick = () => step(1);
  find("close").onclick = () => find("frame-dialog").close();
  find("names").onchange = find("objects").onchange = () => draw(null);
  find("frame-dialog").onclose = () => {
    find("frame-large").replaceChildren();
    const last = find("frame-grid").querySelector(`[data-index="${open}"]`);
    open = -1;
    if (last) last.focus();
    keepState();
  };
  document.addEventListener("keydown", onKey);
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) showMore();
  }, {rootMargin: "800px"}).observe(find("frame-end"));
}

function addNote() {
  const number = pictures.filter(Boolean).length, all = frames.length;
  const of = number === all ? "" : number
    ? ` Pictures of ${number.toLocaleString("en")} of ${all.toLocaleString("en")} frames are in this `
      + "file, of those with the most errors; the others show their boxes alone."
    : " No pictures are in this file; boxes alone are shown.";
  const runs = isPair ? ` A is ${rules.runs[0].name}, B is ${rules.runs[1].name}.` : "";
  find("frame-note").append("Hits are green, false alarms orange, missed objects red and dashed, "
    + "objects that are found white and dotted, and what does not count grey. Errors are of one "
    + "difficulty; heights are of detections, and of objects where they are missed." + runs + of
    + " Keys: ", ...["j", "k"].map((key) => element("kbd", {textContent: key})),
    " go from frame to frame, ", element("kbd", {textContent: "Enter"}), " enlarges; there ",
    ...["←", "→"].map((key) => element("kbd", {textContent: key})), " go on, ",
    element("kbd", {textContent: "n"}), " and ", element("kbd", {textContent: "o"}),
    " show names and objects, ", element("kbd", {textContent: "Esc"}), " closes.");
}

function start() {
  const index = readState();
  update();
  if (index >= 0) show(index);
}

find("frame-grid").classList.toggle("pairs", isPair);
addControls();
addNote();
start();
window.addEventListener("hashchange", start);
})();
