// What the page shows of faces: frames over the picture, seven bars, a sentence.

const LABEL = 27; // height of a label, in pixels
const element = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
const best = (face) => face.probabilities.indexOf(Math.max(...face.probabilities));

export class View {
  #labels = [];
  #faces = [];
  #selected = 0;
  #spoken = { text: "", at: 0 };

  /** Makes a bar for each label of a model. */
  setLabels(labels) {
    this.#labels = labels;
    element("bars").replaceChildren(...labels.map((label) => bar(label)));
  }

  /** Shows faces in a picture of this size; `live` ones of a camera are announced less often. */
  show(faces, size, live) {
    this.#faces = live ? faces : [...faces].sort((a, b) => a.box.x - b.box.x);
    this.#selected = indexOfLargest(this.#faces);
    const boxes = element("boxes");
    while (boxes.children.length > this.#faces.length) boxes.lastChild.remove();
    while (boxes.children.length < this.#faces.length) boxes.append(this.#makeBox(boxes.children.length));
    this.#faces.forEach((face, i) => this.#place(boxes.children[i], face, i, size, live));
    this.#update(live);
  }

  clear() {
    this.show([], { width: 1, height: 1 }, false);
  }

  #makeBox(i) {
    const box = document.createElement("button");
    box.type = "button";
    box.className = "box";
    box.append(document.createElement("span"));
    box.addEventListener("click", () => {
      this.#selected = i;
      this.#update(false);
    });
    return box;
  }

  #place(element, face, i, size, live) {
    const { x, y, width, height } = face.box;
    const start = live ? size.width - x - width : x; // the camera's picture is mirrored
    const share = (value, whole) => `${(100 * value) / whole}%`;
    Object.assign(element.style, {
      left: share(start, size.width), top: share(y, size.height),
      width: share(width, size.width), height: share(height, size.height),
    });
    const scale = element.closest(".frame").clientHeight / size.height; // pixels of the page
    const above = y * scale >= LABEL, below = (size.height - y - height) * scale >= LABEL;
    element.classList.toggle("below", !above && below);
    element.classList.toggle("low", !above && !below);
    element.classList.toggle("right", start + width / 2 > size.width / 2); // or the edge cuts the words
    Object.assign(element.dataset, { box: [x, y, x + width, y + height].join(" ") });
    const text = `${this.#labels[best(face)]} ${percent(face.probabilities[best(face)])}`;
    element.firstChild.textContent = text;
    element.setAttribute("aria-label", `Face ${i + 1}: ${text}`);
  }

  #update(live) {
    const face = this.#faces[this.#selected];
    [...element("boxes").children].forEach((box, i) => {
      box.setAttribute("aria-pressed", String(i === this.#selected));
    });
    [...element("bars").children].forEach((row, i) => {
      const share = face?.probabilities[i] ?? 0;
      row.classList.toggle("top", face !== undefined && i === best(face));
      row.dataset.probability = share;
      row.querySelector(".fill").style.setProperty("--share", share);
      row.querySelector(".value").textContent = face ? percent(share) : "–";
    });
    element("seen").hidden = !face;
    if (face) drawGray(element("seen"), face.gray);
    const text = this.#sentence(face);
    element("summary").textContent = text;
    this.#speak(text, live);
  }

  #sentence(face) {
    if (!face) return "No face yet.";
    const count = this.#faces.length;
    const which = count > 1 ? `Face ${this.#selected + 1} of ${count}: most` : "Most";
    const label = this.#labels[best(face)];
    return `${which} likely ${label} (${percent(face.probabilities[best(face)])}).`;
  }

  /** Tells screen readers; while the camera runs, a new word at most every three seconds. */
  #speak(text, live) {
    const word = live ? text.replace(/ \(.*/, ".") : text;
    const now = performance.now();
    if (word === this.#spoken.text || (live && now - this.#spoken.at < 3000)) return;
    this.#spoken = { text: word, at: now };
    element("live").textContent = word;
  }
}

function bar(label) {
  const row = document.createElement("li");
  const parts = ["label", "track", "value"].map((name) => {
    const part = document.createElement("span");
    part.className = name;
    return part;
  });
  const fill = document.createElement("span");
  fill.className = "fill";
  parts[0].textContent = label;
  parts[1].append(fill);
  parts[1].setAttribute("aria-hidden", "true");
  parts[2].textContent = "–";
  row.append(...parts);
  return row;
}

function indexOfLargest(faces) {
  const sizes = faces.map(({ box }) => box.width * box.height);
  return Math.max(0, sizes.indexOf(Math.max(...sizes)));
}

/** Draws a gray face into the 48x48 pixels that the model sees. */
function drawGray(canvas, { side, pixels }) {
  const image = new ImageData(side, side);
  for (let i = 0; i < pixels.length; i++) image.data.fill(pixels[i], 4 * i, 4 * i + 3);
  for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
  const whole = document.createElement("canvas");
  whole.width = whole.height = side;
  whole.getContext("2d").putImageData(image, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, canvas.width, canvas.height);
}
