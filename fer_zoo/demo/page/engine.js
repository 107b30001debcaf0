// The worker, as functions that return promises.

export class Engine {
  #worker;
  #waiting = new Map();
  #next = 0;

  constructor() {
    const asked = new URLSearchParams(location.search).get("engine") === "wasm" ? "?engine=wasm" : "";
    this.#worker = new Worker(new URL(`worker.js${asked}`, import.meta.url), { type: "module" });
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

  /** Loads everything; returns {engine, threads}. */
  start = (model) => this.#ask("start", { model });

  /** Returns {faces, milliseconds} of an ImageBitmap, which is given away. */
  look = (bitmap, kind, model) => this.#ask("look", { bitmap, kind, model }, [bitmap]);

  /** Returns the same for the last picture and another model. */
  again = (model) => this.#ask("again", { model });

  #ask(task, values, transfer = []) {
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, task, ...values }, transfer);
    });
  }
}
