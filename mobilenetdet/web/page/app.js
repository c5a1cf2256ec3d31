"use strict";
// The page: what is opened, what is shown, and the worker that detects.

const element = (id) => document.getElementById(id);
const canvas = element("canvas"), frame = document.createElement("canvas");
const video = document.createElement("video");
video.muted = video.playsInline = video.loop = true;
// What is on the canvas: {found, name, networkMs, allMs}. Boxes are in pixels of `frame`.
let shown = null;
// Goes up with each thing that is opened; who waits for a frame of the one before gives up.
let opened = 0;
let oneScore = null; // for all classes; null is each class's own
let worker = null, lastId = 0;
const waiting = new Map();
// Pictures shown narrower have tags without names, CSS pixels.
const NARROW = 600;

// --- the worker

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

function ask(message, moved = []) {
  return new Promise((resolve, reject) => {
    const id = ++lastId;
    waiting.set(id, { resolve, reject });
    worker.postMessage({ ...message, id }, moved);
  });
}

function takeAnswer({ data }) {
  const { resolve, reject } = waiting.get(data.id);
  waiting.delete(data.id);
  if (data.failure === undefined) resolve(data.answer);
  else reject(new Error(data.failure));
}

async function startWorker() {
  if (typeof DecompressionStream === "undefined" || typeof WebAssembly === "undefined") {
    throw new Error("this browser is too old; take a Chrome, Edge, Firefox or Safari of 2023 on");
  }
  const [code, glue, wasm, network] = await Promise.all(
    [RUNTIME.worker, RUNTIME.glue, RUNTIME.wasm, MODEL.network].map(unpack),
  );
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  worker = new Worker(address);
  worker.onmessage = takeAnswer;
  worker.onerror = (event) => {
    event.preventDefault();
    for (const { reject } of waiting.values()) reject(new Error(event.message || "worker failed"));
    waiting.clear();
  };
  await ask({ kind: "load", config: PAGE, glue, wasm, network }, [glue, wasm, network]);
}

// --- what is opened

async function detectIn(source, width, height, name) {
  const now = opened, start = performance.now();
  if (!width || !height) throw new Error(`${name} has no pixels`);
  frame.width = width;
  frame.height = height;
  const context = frame.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const answer = await ask({ kind: "detect", pixels: data.buffer, width, height }, [data.buffer]);
  if (now !== opened) return;
  shown = { ...answer, name, allMs: 0 };
  draw();
  shown.allMs = performance.now() - start;
  tellTimes();
}

async function openPicture(file) {
  // As OpenCV reads it: turned as the camera was held, colours as they are in the file.
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, options).catch(() => {
    throw new Error(`${file.name} is no picture that this browser can read`);
  });
  try {
    await detectIn(bitmap, bitmap.width, bitmap.height, file.name);
  } finally {
    bitmap.close();
  }
}

async function openVideo(file) {
  video.src = URL.createObjectURL(file);
  await video.play().catch(() => {
    throw new Error(`${file.name} is no video that this browser can play`);
  });
  element("position-row").hidden = false;
  await watch(file.name);
}

async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error(`the browser gives this page no camera. ${CAMERA_REMEDY}`);
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 } },
    });
  } catch (error) {
    const reasons = {
      NotAllowedError: `the camera was refused. ${CAMERA_REMEDY}`,
      NotFoundError: "no camera was found on this machine",
      NotReadableError: "the camera is in use by another program",
    };
    throw new Error(reasons[error.name] ?? `the camera does not open (${error.message})`);
  }
  await video.play();
  await watch("webcam");
}
const CAMERA_REMEDY =
  "Allow it in the address bar; where the browser keeps it from files, run " +
  "python3 -m http.server 8000 in the folder of this page and open http://localhost:8000";

// Detects in one frame after the other, as fast as it goes, until something else is opened.
async function watch(name) {
  const now = opened;
  element("pause").hidden = false;
  let last = -1;
  while (now === opened) {
    const isNew = video.currentTime !== last && video.readyState >= video.HAVE_CURRENT_DATA;
    if (isNew && !video.seeking) {
      last = video.currentTime;
      await detectIn(video, video.videoWidth, video.videoHeight, name);
      if (video.duration) element("position").value = String(last / video.duration);
    }
    await new Promise(requestAnimationFrame);
  }
}

function closeAll() {
  opened += 1;
  video.pause();
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  element("pause").hidden = element("position-row").hidden = true;
  element("pause").textContent = "Pause";
}

// Opens something and says in words what goes wrong.
async function open(what, name) {
  closeAll();
  const now = opened;
  element("error").hidden = true;
  setState("busy", `Detecting in ${name}…`);
  try {
    await what();
  } catch (error) {
    if (now === opened) {
      closeAll();
      fail(error);
    }
    return;
  }
  if (now === opened) setState("ready", counted());
}

function openFile(file) {
  if (!file) return;
  const isVideo = file.type.startsWith("video/");
  open(() => (isVideo ? openVideo(file) : openPicture(file)), file.name);
}

// --- what is shown

function setState(state, text) {
  document.body.dataset.state = state;
  element("status").textContent = text;
}

function fail(error) {
  setState("failed", "");
  element("error").textContent = `This did not work: ${error.message}.`;
  element("error").hidden = false;
}

const lowestScore = (index) => oneScore ?? PAGE.classes[index].score;
const visible = () =>
  shown.found.filter(({ score, classIndex }) => score >= lowestScore(classIndex));

function counted() {
  const count = visible().length;
  return count === 1 ? "1 detection" : `${count || "no"} detections`;
}

function draw() {
  element("drop").hidden = true;
  canvas.hidden = element("strip").hidden = false;
  const ratio = window.devicePixelRatio || 1;
  const most = [element("stage").clientWidth, Math.max(window.innerHeight * 0.7, 240)];
  const fit = Math.min(most[0] / frame.width, most[1] / frame.height);
  const [width, height] = [frame.width, frame.height].map((side) => Math.max(1, side * fit));
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(frame, 0, 0, canvas.width, canvas.height);
  const marks = visible().reverse().map(({ box, score, classIndex }) => {
    const { name, colour, ink } = PAGE.classes[classIndex];
    const scaled = box.map((value, side) =>
      (value * (side % 2 ? canvas.height : canvas.width)) / (side % 2 ? frame.height : frame.width),
    );
    // On a phone names would hide what they name; the colours and the list say them.
    const text = width < NARROW ? score.toFixed(2) : `${name} ${score.toFixed(2)}`;
    return { box: scaled, score, colour, ink, text };
  });
  drawMarks(context, marks, PAGE.line_width, ratio);
  listDetections();
}

function sample(colour) {
  const drawn = document.createElement("span");
  drawn.className = "sample";
  drawn.style.borderColor = rgb(colour);
  return drawn;
}

function listDetections() {
  const found = visible();
  const entries = PAGE.classes.flatMap(({ name, colour }, index) => {
    const count = found.filter(({ classIndex }) => classIndex === index).length;
    if (!count) return [];
    const entry = document.createElement("span");
    entry.append(sample(colour), `${name} ${count}`);
    return [entry];
  });
  element("legend").replaceChildren(...(entries.length ? entries : ["nothing found"]));
  element("title").textContent = shown.name;
  const rows = found.map(({ box, score, classIndex }) => {
    const row = document.createElement("tr"), { name, colour } = PAGE.classes[classIndex];
    const cells = [name, score.toFixed(2), box.map(Math.round).join(", ")].map((text) => {
      const cell = document.createElement("td");
      cell.append(text);
      return cell;
    });
    cells[0].prepend(sample(colour));
    row.append(...cells);
    return row;
  });
  element("detections").tBodies[0].replaceChildren(...rows);
  element("detections").hidden = !rows.length;
}

function tellTimes() {
  const { networkMs, allMs } = shown;
  element("times").textContent =
    `Network ${Math.round(networkMs)} ms, with pixels and drawing ${Math.round(allMs)} ms; ` +
    `${frame.width}×${frame.height} pixels`;
}

function tellScore() {
  const scores = PAGE.classes.map(({ score }) => score);
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  element("score").value = String(oneScore ?? mean);
  element("score-value").textContent =
    oneScore?.toFixed(2) ??
    PAGE.classes.map(({ name, score }) => `${name} ${score.toFixed(2)}`).join(", ");
  element("own-scores").disabled = oneScore === null;
}

function setScore(score) {
  oneScore = score;
  tellScore();
  if (!shown) return;
  draw();
  if (document.body.dataset.state === "ready") setState("ready", counted());
}

// --- the beginning

function describePage() {
  const { source, precision, megabytes, width, height, engine, version } = PAGE;
  element("source").textContent = source;
  document.title = source ? `${source}: mobilenetdet` : "mobilenetdet";
  element("model").textContent =
    `${precision}, ${megabytes.toFixed(1)} MB, input ${width}×${height} pixels; ${engine}, ` +
    `one thread of WebAssembly; mobilenetdet ${version}`;
  tellScore();
}

function connectControls() {
  element("choose").onclick = () => element("file").click();
  element("file").onchange = ({ target }) => {
    openFile(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  };
  element("camera").onclick = () => open(openCamera, "the webcam");
  element("pause").onclick = () => {
    if (video.paused) video.play();
    else video.pause();
    element("pause").textContent = video.paused ? "Play" : "Pause";
  };
  element("position").oninput = ({ target }) => {
    if (video.duration) video.currentTime = Number(target.value) * video.duration;
  };
  element("score").oninput = ({ target }) => setScore(Number(target.value));
  element("own-scores").onclick = () => setScore(null);
  document.ondragover = (event) => {
    event.preventDefault(); // or the browser opens the file itself
    document.body.classList.add("dragging");
  };
  document.ondragleave = () => document.body.classList.remove("dragging");
  document.ondrop = (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    if (worker && document.body.dataset.state !== "loading") openFile(event.dataTransfer.files[0]);
  };
  window.onresize = () => shown && draw();
}

async function begin() {
  describePage();
  connectControls();
  try {
    await startWorker();
  } catch (error) {
    fail(error);
    return;
  }
  for (const id of ["choose", "camera", "score"]) element(id).disabled = false;
  setState("ready", "");
}
begin();
