// Runs the network beside the page, so that the page stays quick. Follows onnxruntime-web's script
// and letterbox.js in the same worker.
let session = null, page = null;

async function load({ config, glue, wasm, network }) {
  page = config;
  // Threads need headers that a file and a plain server do not send.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.wasmPaths = {
    mjs: URL.createObjectURL(new Blob([glue], { type: "text/javascript" })),
  };
  session = await ort.InferenceSession.create(new Uint8Array(network), {
    executionProviders: ["wasm"],
  });
  // The first run is slower, and would be what is shown of the first picture.
  await runNetwork(new Uint8Array(page.height * page.width * 3).fill(page.grey));
}

async function runNetwork(input) {
  const images = new ort.Tensor("uint8", input, [1, page.height, page.width, 3]);
  return session.run({ images });
}

async function detect({ pixels, width, height }) {
  const { input, place } = letterbox(
    new Uint8ClampedArray(pixels), width, height, page.width, page.height, page.grey,
  );
  const start = performance.now();
  const outputs = await runNetwork(input);
  const networkMs = performance.now() - start;
  const { boxes, scores, classes } = outputs;
  const found = [];
  for (let row = 0; row < scores.data.length; row++) {
    if (classes.data[row] < 0) continue; // an empty row
    const box = Array.from(boxes.data.subarray(4 * row, 4 * row + 4));
    found.push({
      box: undoLetterbox(box, place, width, height),
      score: scores.data[row],
      classIndex: Number(classes.data[row]),
    });
  }
  return { found, networkMs };
}

self.onmessage = async ({ data }) => {
  try {
    const answer = data.kind === "load" ? await load(data) : await detect(data);
    self.postMessage({ id: data.id, answer });
  } catch (error) {
    self.postMessage({ id: data.id, failure: String(error?.message ?? error) });
  }
};
