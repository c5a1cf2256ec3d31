"use strict";
// Pictures to the input of the network, as mobilenetdet/data/letterbox_image.py does it with OpenCV:
// aspect kept, centred, grey around it. The browser's own scaling filters differently from browser
// to browser, and boxes would move with it.

// Below this scale bilinear sampling skips pixels, and all that an input pixel covers are averaged.
const AREA_SCALE = 0.5;
// OpenCV passes over what covers less of a pixel than this.
const LEAST_COVERED = 1e-3;

// Python's: 0.5 and 2.5 go to the even number.
function roundHalfToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}

// Where a picture lies in the input: x' = x * scale + left.
function fitPicture(width, height, inputWidth, inputHeight) {
  const scale = Math.min(inputHeight / height, inputWidth / width);
  const rounded = [roundHalfToEven(width * scale), roundHalfToEven(height * scale)];
  return {
    scale,
    left: Math.floor((inputWidth - rounded[0]) / 2),
    top: Math.floor((inputHeight - rounded[1]) / 2),
    drawnWidth: Math.max(1, rounded[0]),
    drawnHeight: Math.max(1, rounded[1]),
  };
}

// For each place of a resized axis the two pixels beside it, and their weights in 2048ths: OpenCV's
// fixed point to the last bit. In int8 one grey level in a tenth of the bytes moves some boxes.
function bilinearTaps(size, drawn) {
  const make = () => new Int32Array(drawn);
  const taps = { below: make(), above: make(), belowWeight: make(), aboveWeight: make() };
  const step = 1 / (drawn / size);
  const inside = (pixel) => Math.min(Math.max(pixel, 0), size - 1);
  for (let place = 0; place < drawn; place++) {
    const centre = Math.fround((place + 0.5) * step - 0.5); // of pixels, as boxes have it
    const share = centre - Math.floor(centre);
    taps.below[place] = inside(Math.floor(centre));
    taps.above[place] = inside(Math.floor(centre) + 1);
    taps.belowWeight[place] = roundHalfToEven(Math.fround(1 - share) * 2048);
    taps.aboveWeight[place] = roundHalfToEven(share * 2048);
  }
  return taps;
}

// Calls put(row, RGB sums of the row) for each row of the resized picture.
function resizeBilinear(rgba, width, height, drawnWidth, drawnHeight, put) {
  const columns = bilinearTaps(width, drawnWidth), rows = bilinearTaps(height, drawnHeight);
  const values = new Int32Array(drawnWidth * 3);
  // Rows of the picture in their new width. Neighbours differ in the last bit of their number.
  const kept = [0, 1].map(() => ({ row: -1, values: new Int32Array(drawnWidth * 3) }));
  function widened(row) {
    const place = kept[row % 2];
    if (place.row === row) return place.values;
    place.row = row;
    for (let column = 0, to = 0; column < drawnWidth; column++) {
      let below = (row * width + columns.below[column]) * 4;
      let above = (row * width + columns.above[column]) * 4;
      const weights = [columns.belowWeight[column], columns.aboveWeight[column]];
      for (let colour = 0; colour < 3; colour++) {
        place.values[to++] = weights[0] * rgba[below++] + weights[1] * rgba[above++];
      }
    }
    return place.values;
  }
  for (let row = 0; row < drawnHeight; row++) {
    const below = widened(rows.below[row]), above = widened(rows.above[row]);
    const belowWeight = rows.belowWeight[row], aboveWeight = rows.aboveWeight[row];
    for (let index = 0; index < values.length; index++) {
      const first = (belowWeight * (below[index] >> 4)) >> 16;
      const second = (aboveWeight * (above[index] >> 4)) >> 16;
      values[index] = (first + second + 2) >> 2;
    }
    put(row, values);
  }
}

// For each place of a resized axis its first pixel, and how much of each from there on it covers.
function areaTaps(size, drawn) {
  const first = new Int32Array(drawn), weights = new Array(drawn);
  for (let place = 0; place < drawn; place++) {
    const start = (place * size) / drawn, end = ((place + 1) * size) / drawn;
    first[place] = Math.floor(start);
    weights[place] = [];
    for (let pixel = first[place]; pixel < Math.min(end, size); pixel++) {
      const covered = Math.min(end, pixel + 1) - Math.max(start, pixel);
      weights[place].push(covered > LEAST_COVERED ? covered : 0);
    }
  }
  return { first, weights };
}

function resizeArea(rgba, width, height, drawnWidth, drawnHeight, put) {
  const columns = areaTaps(width, drawnWidth), rows = areaTaps(height, drawnHeight);
  const sums = new Float64Array(width * 3); // one row of the result, before it is narrowed
  const values = new Float32Array(drawnWidth * 3);
  const share = Math.fround((drawnWidth * drawnHeight) / (width * height));
  for (let row = 0; row < drawnHeight; row++) {
    sums.fill(0);
    rows.weights[row].forEach((weight, step) => {
      let from = (rows.first[row] + step) * width * 4;
      for (let to = 0; to < sums.length; to += 3, from += 4) {
        sums[to] += weight * rgba[from];
        sums[to + 1] += weight * rgba[from + 1];
        sums[to + 2] += weight * rgba[from + 2];
      }
    });
    for (let column = 0, to = 0; column < drawnWidth; column++, to += 3) {
      const weights = columns.weights[column];
      let from = columns.first[column] * 3, red = 0, green = 0, blue = 0;
      for (let step = 0; step < weights.length; step++, from += 3) {
        red += weights[step] * sums[from];
        green += weights[step] * sums[from + 1];
        blue += weights[step] * sums[from + 2];
      }
      values[to] = red * share;
      values[to + 1] = green * share;
      values[to + 2] = blue * share;
    }
    put(row, values);
  }
}

// RGBA bytes of a picture to RGB bytes [inputHeight, inputWidth, 3], and where it lies there.
function letterbox(rgba, width, height, inputWidth, inputHeight, grey) {
  const place = fitPicture(width, height, inputWidth, inputHeight);
  const resize = place.scale < AREA_SCALE ? resizeArea : resizeBilinear;
  const pixels = new Uint8ClampedArray(inputWidth * inputHeight * 3).fill(grey); // rounds to even
  resize(rgba, width, height, place.drawnWidth, place.drawnHeight, (row, values) => {
    pixels.set(values, ((place.top + row) * inputWidth + place.left) * 3);
  });
  return { input: new Uint8Array(pixels.buffer), place };
}

// A box of the input in pixels of the picture, clipped to it.
function undoLetterbox(box, place, width, height) {
  const limits = [width, height, width, height];
  return box.map((value, index) => {
    const moved = (value - (index % 2 ? place.top : place.left)) / place.scale;
    return Math.min(Math.max(moved, 0), limits[index]);
  });
}
