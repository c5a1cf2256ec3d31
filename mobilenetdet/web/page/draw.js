"use strict";
// Boxes and tags as mobilenetdet/drawing draws them: solid outlines in the colour of the class on a
// dark casing, and tags that keep off each other.

const CASING = "rgba(0, 0, 0, 0.45)", TAG_OPACITY = 0.88;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
// Lines are as wide as given on a picture of this size, and grow with the root of its area.
const REFERENCE_AREA = 1242 * 375, MIN_SCALE = 0.75, FONT_PIXELS = 12;
// Costs of a covered pixel of another tag and of a box, and of moving a tag by its own area.
const COVERED_TAG = 1, COVERED_BOX = 0.05, MOVED = 0.1;

const rgb = ([red, green, blue], opacity = 1) => `rgba(${red}, ${green}, ${blue}, ${opacity})`;

// Draws detections over a picture.
//   marks: [{box: [x1, y1, x2, y2], score, text, colour, ink}], the best last, pixels of the canvas
//   ratio: canvas pixels to a pixel of the screen
function drawMarks(context, marks, lineWidth, ratio) {
  const { width, height } = context.canvas;
  const area = (width * height) / (ratio * ratio);
  const scale = Math.max(MIN_SCALE, Math.sqrt(area / REFERENCE_AREA)) * ratio;
  const thickness = Math.max(1, Math.round(lineWidth * scale));
  const rects = marks.map(({ box }) => pixelRect(box, width, height));
  outline(context, rects, thickness + 2, () => CASING);
  outline(context, rects, thickness, (index) => rgb(marks[index].colour));
  const order = marks.map((_, index) => index).sort((a, b) => marks[b].score - marks[a].score);
  drawTags(context, order.map((index) => ({ ...marks[index], rect: rects[index] })), scale, ratio);
}

// First and last pixel of a box in x and y, inside the picture.
function pixelRect(box, width, height) {
  const [x1, y1, x2, y2] = box.map(Math.round);
  const inside = (value, size) => Math.min(Math.max(value, 0), size - 1);
  const left = inside(x1, width), top = inside(y1, height);
  return [left, top, Math.max(left, inside(x2 - 1, width)), Math.max(top, inside(y2 - 1, height))];
}

function outline(context, rects, thickness, styleOf) {
  rects.forEach(([x1, y1, x2, y2], index) => {
    context.lineWidth = thickness;
    context.strokeStyle = styleOf(index);
    context.strokeRect(x1 + 0.5, y1 + 0.5, x2 - x1, y2 - y1);
  });
}

function drawTags(context, tags, scale, ratio) {
  const { width, height } = context.canvas;
  const font = Math.round(Math.max(FONT_PIXELS * scale, 11 * ratio));
  context.font = `${font}px ${FONT}`;
  context.textBaseline = "middle";
  const pad = Math.round(3 * scale), tall = Math.round(font * 1.15) + 2;
  const boxes = tags.map(({ rect: [x1, y1, x2, y2] }) => [x1, y1, x2 + 1, y2 + 1]);
  const taken = [];
  for (const tag of tags) {
    const wide = Math.ceil(context.measureText(tag.text).width) + 2 * pad;
    const [left, top] = bestPlace(tag.rect, [wide, tall], [width, height], taken, boxes);
    taken.push([left, top, left + wide, top + tall]);
    context.fillStyle = rgb(tag.colour, TAG_OPACITY);
    context.fillRect(left, top, wide, tall);
    context.fillStyle = rgb(tag.ink);
    context.fillText(tag.text, left + pad, top + tall / 2 + 0.5);
  }
}

// Where a tag covers the least of tags and boxes: above or below its box, in it, or beside it.
function bestPlace([x1, y1, x2, y2], [wide, tall], [width, height], taken, boxes) {
  const places = [
    [x1, y1 - tall], [x2 + 1 - wide, y1 - tall], [x1, y2 + 1], [x2 + 1 - wide, y2 + 1], [x1, y1],
    [x2 + 1, y1], [x1 - wide, y1], [x2 + 1, y2 + 1 - tall], [x1 - wide, y2 + 1 - tall],
  ];
  let best = null, least = Infinity;
  for (const [x, y] of places) {
    const left = Math.min(Math.max(x, 0), Math.max(width - wide, 0));
    const top = Math.min(Math.max(y, 0), Math.max(height - tall, 0));
    const place = [left, top, left + wide, top + tall];
    const cost =
      MOVED * (Math.abs(left - x) * tall + Math.abs(top - y) * wide) +
      COVERED_TAG * totalOverlap(place, taken) + COVERED_BOX * totalOverlap(place, boxes);
    if (cost < least) [best, least] = [[left, top], cost];
  }
  return best;
}

function totalOverlap(place, others) {
  return others.reduce((sum, other) => {
    const wide = Math.min(place[2], other[2]) - Math.max(place[0], other[0]);
    const tall = Math.min(place[3], other[3]) - Math.max(place[1], other[1]);
    return sum + Math.max(wide, 0) * Math.max(tall, 0);
  }, 0);
}
