// Cuts faces out as fer_zoo's crop_face does, in gray as Pillow makes it.

/**
 * Returns a square around a box: {side, pixels}, one byte a pixel; the picture's edge is repeated.
 * @param {ImageData} picture
 * @param {{x: number, y: number, width: number, height: number}} box whole pixels
 */
export function grayFace(picture, box) {
  const side = Math.max(1, box.width, box.height);
  const left = roundHalfEven((2 * box.x + box.width - side) / 2);
  const top = roundHalfEven((2 * box.y + box.height - side) / 2);
  const pixels = new Uint8Array(side * side);
  const { data } = picture;
  for (let y = 0; y < side; y++) {
    const row = clamp(top + y, picture.height);
    for (let x = 0; x < side; x++) {
      const at = (row * picture.width + clamp(left + x, picture.width)) * 4;
      const sum = 19595 * data[at] + 38470 * data[at + 1] + 7471 * data[at + 2];
      pixels[y * side + x] = (sum + 32768) >> 16;
    }
  }
  return { side, pixels };
}

const clamp = (i, size) => Math.min(Math.max(i, 0), size - 1);

/** Rounds as Python does: half to the even neighbour. */
function roundHalfEven(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
