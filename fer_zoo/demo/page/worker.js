// Finds faces and names their expressions, beside the page so that the page stays responsive.
import { Detector } from "./detector.js";
import { grayFace } from "./face.js";

const MOST_FACES = 50;
const SEARCH = { photo: { minFace: 40, minScore: 0.9 }, frame: { minFace: 48, minScore: 0.9 } };
const MODULES = { wasm: "./engines/ort.wasm.bundle.min.mjs", webgpu: "./engines/ort.jspi.bundle.min.mjs" };
const engine = new URL(self.location).searchParams.get("engine");
const sessions = new Map(); // by file
let opening = Promise.resolve(); // the latest of them
let ort, detector;
let faces = []; // of the last picture

const tasks = {
  /** Loads the engine, the detector and a model; returns how many threads compute. */
  async start({ model }) {
    ort = await import(MODULES[engine]);
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
    const networks = ["pnet", "rnet", "onet"].map((name) => open(`detector/${name}.onnx`, "wasm"));
    openModel(model); // meanwhile
    detector = new Detector(ort, await Promise.all(networks));
    const blank = { side: 48, pixels: new Uint8Array(48 * 48) };
    await classify(model, blank); // so that the first face need not wait
    return ort.env.wasm.numThreads;
  },

  /** Finds and names the faces of a picture, or of a frame of the camera. */
  async look({ bitmap, kind, model }) {
    const began = performance.now();
    const picture = pixelsOf(bitmap);
    const { minFace, minScore } = SEARCH[kind];
    const boxes = await detector.find(picture, minFace, minScore);
    faces = boxes.slice(0, MOST_FACES).map((box) => ({ box, gray: grayFace(picture, box) }));
    return answer(model, began);
  },

  /** Names the faces of the last picture by another model. */
  again: ({ model }) => answer(model, performance.now()),
};

async function answer(model, began) {
  const named = [];
  for (const { box, gray } of faces) {
    named.push({ box, gray, probabilities: await classify(model, gray) });
  }
  return { faces: named, milliseconds: performance.now() - began };
}

async function classify(model, { side, pixels }) {
  const input = new ort.Tensor("uint8", pixels, [1, side, side]);
  const session = await openModel(model);
  const output = await session.run({ [session.inputNames[0]]: input });
  return Array.from(output[session.outputNames[0]].data);
}

const openModel = ({ file }) => open(file, engine);

/** Opens a file once; files load at the same time, but onnxruntime-web can start only one by one. */
function open(file, provider) {
  if (!sessions.has(file)) {
    const content = load(file);
    content.catch(() => {}); // it is told where it is awaited
    const options = { executionProviders: [provider], logSeverityLevel: 3 }; // errors alone
    const opened = opening.then(async () => ort.InferenceSession.create(await content, options));
    opening = opened.catch(() => sessions.delete(file)); // the next try may succeed
    sessions.set(file, opened);
  }
  return sessions.get(file);
}

async function load(file) {
  const response = await fetch(new URL(file, import.meta.url));
  if (!response.ok) throw new Error(`${file} could not be loaded (${response.status})`);
  return response.arrayBuffer();
}

function pixelsOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "rgb(128 128 128)"; // under transparent pixels, as fer_zoo reads them
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

let queue = Promise.resolve(); // one task at a time
self.addEventListener("message", ({ data: { id, task, ...values } }) => {
  queue = queue.then(async () => {
    try {
      self.postMessage({ id, value: await tasks[task](values) });
    } catch (error) {
      self.postMessage({ id, error: String(error?.message ?? error) });
    }
  });
});
