// Shrinks part of a picture by the mean over areas, as OpenCV's INTER_AREA does.

/**
 * @param {ImageData} picture
 * @param {{x: number, y: number, width: number, height: number}} part whole pixels; black outside
 * @param {number} outWidth
 * @param {number} outHeight
 * @param {Float32Array} out [outWidth, outHeight, 3], columns first as MTCNN takes them
 * @param {boolean} whole round to whole gray levels, as OpenCV does for 8-bit pictures
 */
export function shrink(picture, part, outWidth, outHeight, out, whole = false) {
  const { data } = picture;
  const columns = shares(part.width, outWidth);
  const rows = shares(part.height, outHeight);
  const wide = new Float32Array(part.height * outWidth * 3);
  for (let y = 0; y < part.height; y++) {
    const row = part.y + y;
    if (row < 0 || row >= picture.height) continue;
    for (let i = 0; i < outWidth; i++) {
      const { first, weights } = columns[i];
      let red = 0, green = 0, blue = 0;
      for (let k = 0; k < weights.length; k++) {
        const column = part.x + first + k;
        if (column < 0 || column >= picture.width) continue;
        const at = (row * picture.width + column) * 4;
        red += weights[k] * data[at];
        green += weights[k] * data[at + 1];
        blue += weights[k] * data[at + 2];
      }
      const to = (y * outWidth + i) * 3;
      wide[to] = red;
      wide[to + 1] = green;
      wide[to + 2] = blue;
    }
  }
  for (let i = 0; i < outWidth; i++) {
    for (let j = 0; j < outHeight; j++) {
      const { first, weights } = rows[j];
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          sum += weights[k] * wide[((first + k) * outWidth + i) * 3 + c];
        }
        out[(i * outHeight + j) * 3 + c] = whole ? Math.round(sum) : sum;
      }
    }
  }
}

/** Returns, for each pixel of the output, the first input pixel under it and the share of each. */
function shares(size, outSize) {
  const step = size / outSize;
  return Array.from({ length: outSize }, (_, i) => {
    const start = i * step, end = Math.min(size, start + step);
    const first = Math.min(size - 1, Math.floor(start + 1e-6));
    const last = Math.max(first + 1, Math.ceil(end - 1e-6));
    const weights = new Float32Array(last - first);
    for (let k = first; k < last; k++) {
      weights[k - first] = (Math.min(k + 1, end) - Math.max(k, start)) / (end - start);
    }
    return { first, weights };
  });
}
