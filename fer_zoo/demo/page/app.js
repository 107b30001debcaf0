// The page: what its controls do.
import { Camera } from "./camera.js";
import { startEngine } from "./engine.js";
import { PictureError, readPicture } from "./picture.js";
import { View } from "./view.js";

const element = (id) => document.getElementById(id);
const view = new View();
const camera = new Camera(element("video"), () => {
  stopCamera();
  say("The camera is gone. Connect it again, or choose a photo.", true);
});
let engine, ready; // `ready` is a promise of what computes
let models = [];
let size = null; // of the photo that is shown
let turn = 0; // of the latest picture: older answers are dropped

const model = () => models[element("model").selectedIndex];

function say(text, isError = false) {
  const message = element("message");
  message.hidden = !text;
  message.textContent = text;
  message.classList.toggle("error", isError);
}

function fail(error) {
  element("busy").hidden = true;
  if (error instanceof PictureError) return say(error.message, true);
  return say(`Something went wrong: ${error.message}. Reload the page to try again.`, true);
}

/** Shows the photo's canvas, the camera's video, or the empty stage. */
function showStage(kind) {
  element("empty").hidden = kind !== null;
  element("frame").hidden = kind === null;
  element("photo").hidden = kind !== "photo";
  element("video").hidden = kind !== "camera";
  element("frame").classList.toggle("mirrored", kind === "camera");
  element("stage").classList.toggle("empty-stage", kind === null);
  element("stage").classList.toggle("filled", kind !== null);
}

async function showPhoto(file) {
  stopCamera();
  const mine = ++turn;
  say("");
  try {
    const bitmap = await readPicture(file);
    if (mine !== turn) return bitmap.close();
    draw(bitmap);
    element("busy").hidden = false;
    await ready;
    const { faces, milliseconds } = await engine.look(bitmap, "photo", model());
    if (mine !== turn) return;
    element("busy").hidden = true;
    view.show(faces, size, false);
    showSpeed(milliseconds);
    if (!faces.length) say("No face was found. Try a photo with a larger, brighter or more frontal face.");
  } catch (error) {
    if (mine !== turn) return;
    fail(error);
    if (error instanceof PictureError) changeModel(); // the photo before may be without its answer yet
  }
}

function draw(bitmap) {
  size = { width: bitmap.width, height: bitmap.height };
  Object.assign(element("photo"), size);
  element("photo").getContext("2d").drawImage(bitmap, 0, 0);
  element("frame").style.setProperty("--ratio", size.width / size.height);
  view.clear();
  showStage("photo");
}

async function startCamera() {
  const mine = ++turn;
  say("");
  size = null;
  element("busy").hidden = true; // what it showed is dropped
  view.clear();
  element("camera").disabled = true; // one question to the visitor is enough
  try {
    await camera.start();
  } catch (error) {
    if (mine !== turn) return;
    showStage(null);
    return say(error.message, true);
  } finally {
    element("camera").disabled = false;
  }
  if (mine !== turn) return camera.stop(); // meanwhile a photo was chosen
  element("camera").textContent = "Stop the camera";
  const { videoWidth, videoHeight } = element("video");
  element("frame").style.setProperty("--ratio", videoWidth / videoHeight || 4 / 3);
  showStage("camera");
  try {
    await ready;
    while (camera.on && mine === turn) {
      await nextFrame();
      const bitmap = document.hidden ? null : await camera.frame();
      if (!bitmap) continue;
      const frame = { width: bitmap.width, height: bitmap.height };
      const { faces, milliseconds } = await engine.look(bitmap, "frame", model());
      if (!camera.on || mine !== turn) return;
      view.show(faces, frame, true);
      showSpeed(milliseconds);
    }
  } catch (error) {
    stopCamera();
    fail(error);
  }
}

function stopCamera() {
  if (!camera.on) return;
  turn++;
  camera.stop();
  element("camera").textContent = "Use the camera";
  view.clear();
  showStage(null);
}

const nextFrame = () => new Promise((resolve) => {
  if (document.hidden) setTimeout(resolve, 250);
  else requestAnimationFrame(resolve);
});

async function changeModel() {
  showModel();
  if (camera.on || !size) return; // the next frame or photo uses it
  const mine = ++turn;
  element("busy").hidden = false;
  try {
    await ready;
    const { faces, milliseconds } = await engine.again(model());
    if (mine !== turn) return;
    view.show(faces, size, false);
    showSpeed(milliseconds);
    element("busy").hidden = true;
  } catch (error) {
    if (mine === turn) fail(error);
  }
}

function showModel() {
  view.setLabels(model().labels);
  element("about-model").textContent = `${model().name}: ${model().note}.`;
}

let computes = "";
function showSpeed(milliseconds) {
  element("engine").textContent = `${computes}, ${Math.round(milliseconds)}\u00a0ms.`;
}

async function start() {
  const { models: known, example } = await (await fetch("config.json")).json();
  models = known;
  element("model").replaceChildren(...models.map(({ name }) => new Option(name)));
  showModel();
  element("example").hidden = !example;
  element("example").addEventListener("click", async () => showPhoto(await (await fetch(example)).blob()));
  engine = await startEngine(model());
  const { name, threads } = engine;
  computes = `Computed here by ${name === "webgpu" ? "WebGPU" : "WebAssembly"}, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  element("engine").textContent = `${computes}.`;
  document.documentElement.dataset.engine = name;
  setTimeout(() => keepForOffline(name), 2000); // after the first answer, which needs the processor
}

/** Lets the service worker keep all files; without it the page works, with a network. */
function keepForOffline(name) {
  navigator.serviceWorker?.register(`sw.js?engine=${name}`).catch(() => {});
}

element("file").addEventListener("change", ({ target }) => {
  if (target.files.length) showPhoto(target.files[0]);
  target.value = ""; // the same file may be chosen again
});
element("camera").addEventListener("click", () => (camera.on ? stopCamera() : startCamera()));
element("model").addEventListener("change", changeModel);
addEventListener("paste", ({ clipboardData }) => {
  if (clipboardData.files.length) showPhoto(clipboardData.files[0]);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  element("stage").classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) element("stage").classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  element("stage").classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) showPhoto(file);
});

const missing = [
  ["WebAssembly", typeof WebAssembly === "object"],
  ["web workers", typeof Worker === "function"],
  ["OffscreenCanvas", typeof OffscreenCanvas === "function"],
].filter(([, there]) => !there).map(([name]) => name);
if (missing.length) {
  element("unsupported").textContent = `This browser lacks ${missing.join(" and ")}, which the page needs. Use a browser of 2023 or later, or turn that on in its settings.`;
} else {
  element("unsupported").hidden = true;
  element("main").hidden = false;
  showStage(null);
  ready = start();
  ready.catch((error) => {
    element("engine").textContent = "Not ready.";
    say(`The page could not load what it needs: ${error.message}. Reload it, or try another browser.`, true);
  });
}
