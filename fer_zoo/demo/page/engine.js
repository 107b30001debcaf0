// The worker that computes, as functions that return promises.

/**
 * Starts the first engine that works: WebGPU where there is a real one, else WebAssembly.
 * `?engine=wasm` or `?engine=webgpu` in the page's address asks for one.
 */
export async function startEngine(model) {
  const asked = new URLSearchParams(location.search).get("engine");
  const names = asked ? [asked, "wasm"] : (await hasWebGpu()) ? ["webgpu", "wasm"] : ["wasm"];
  let problem;
  for (const name of names) {
    const engine = new Engine(name);
    try {
      engine.threads = await engine.start(model);
      return engine;
    } catch (error) {
      engine.end();
      problem = error;
    }
  }
  throw problem;
}

/** Says whether there is a GPU for which WebAssembly can wait; one in software is slower than none. */
async function hasWebGpu() {
  if (!navigator.gpu || !("Suspending" in WebAssembly)) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter !== null && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

class Engine {
  #worker;
  #waiting = new Map();
  #next = 0;

  constructor(name) {
    this.name = name;
    this.#worker = new Worker(new URL(`worker.js?engine=${name}`, import.meta.url), { type: "module" });
    this.#worker.addEventListener("message", ({ data: { id, value, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(value);
      else reject(new Error(error));
    });
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      const error = new Error(event.message || "a file of the page could not be loaded");
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  /** Loads everything; returns how many threads compute. */
  start = (model) => this.#ask("start", { model });

  /** Returns {faces, milliseconds} of an ImageBitmap, which is given away. */
  look = (bitmap, kind, model) => this.#ask("look", { bitmap, kind, model }, [bitmap]);

  /** Returns the same for the last picture and another model. */
  again = (model) => this.#ask("again", { model });

  end = () => this.#worker.terminate();

  #ask(task, values, transfer = []) {
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, task, ...values }, transfer);
    });
  }
}
