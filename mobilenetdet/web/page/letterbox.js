"use strict";
// Pictures to the input of the network, as mobilenetdet/data/letterbox_image.py does it with OpenCV:
// aspect kept, centred, grey around it. The browser's own scaling filters differently from browser
// to browser, and boxes would move with it.

// Below this scale bilinear sampling skips pixels, and all that an input pixel covers are averaged.
const AREA_SCALE = 0.5;

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

// For each place of a resized axis the first place that it is made of, and weights from there on.
function bilinearTaps(size, drawn) {
  const first = new Int32Array(drawn), weights = new Array(drawn);
  for (let place = 0; place < drawn; place++) {
    const centre = ((place + 0.5) * size) / drawn - 0.5; // of pixels, as boxes have it
    const below = Math.min(Math.max(Math.floor(centre), 0), size - 1);
    const share = Math.min(Math.max(centre - below, 0), 1);
    first[place] = below;
    weights[place] = below + 1 < size ? [1 - share, share] : [1];
  }
  return { first, weights };
}

function areaTaps(size, drawn) {
  const first = new Int32Array(drawn), weights = new Array(drawn);
  for (let place = 0; place < drawn; place++) {
    const start = (place * size) / drawn, end = ((place + 1) * size) / drawn;
    first[place] = Math.floor(start);
    weights[place] = [];
    for (let pixel = first[place]; pixel < Math.min(end, size); pixel++) {
      const covered = Math.min(end, pixel + 1) - Math.max(start, pixel);
      weights[place].push(covered / (end - start));
    }
  }
  return { first, weights };
}

// RGBA bytes of a picture to RGB bytes [inputHeight, inputWidth, 3], and where it lies there.
function letterbox(rgba, width, height, inputWidth, inputHeight, grey) {
  const place = fitPicture(width, height, inputWidth, inputHeight);
  const { drawnWidth, drawnHeight } = place;
  const taps = place.scale < AREA_SCALE ? areaTaps : bilinearTaps;
  const columns = taps(width, drawnWidth), rows = taps(height, drawnHeight);
  const input = new Uint8Array(inputWidth * inputHeight * 3).fill(grey);
  const sums = new Float32Array(width * 3); // one row of the input, before it is narrowed
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
    let to = ((place.top + row) * inputWidth + place.left) * 3;
    for (let column = 0; column < drawnWidth; column++, to += 3) {
      const weights = columns.weights[column];
      let from = columns.first[column] * 3, red = 0, green = 0, blue = 0;
      for (let step = 0; step < weights.length; step++, from += 3) {
        red += weights[step] * sums[from];
        green += weights[step] * sums[from + 1];
        blue += weights[step] * sums[from + 2];
      }
      input[to] = red + 0.5;
      input[to + 1] = green + 0.5;
      input[to + 2] = blue + 0.5;
    }
  }
  return { input, place };
}

// A box of the input in pixels of the picture, clipped to it.
function undoLetterbox(box, place, width, height) {
  const limits = [width, height, width, height];
  return box.map((value, index) => {
    const moved = (value - (index % 2 ? place.top : place.left)) / place.scale;
    return Math.min(Math.max(moved, 0), limits[index]);
  });
}
