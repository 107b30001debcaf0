// Reads a photo, and says what is wrong with a file that is none.

const MOST_BYTES = 100e6, MOST_PIXELS = 100e6;
const LONGEST_SIDE = 1600; // faces are searched at this size, and no smaller than the models need
const UNREADABLE = "This browser cannot read that file as a picture, or it is far too large. Try a JPEG, PNG or WebP file.";

export class PictureError extends Error {}

/** Returns an upright ImageBitmap of at most LONGEST_SIDE pixels. */
export async function readPicture(file) {
  if (!(file instanceof Blob) || (file.type && !file.type.startsWith("image/"))) {
    throw new PictureError("That is not a picture. Choose a JPEG, PNG or WebP file.");
  }
  if (file.size > MOST_BYTES) {
    throw new PictureError(`That file is too large (${Math.round(file.size / 1e6)} MB). The limit is ${MOST_BYTES / 1e6} MB.`);
  }
  const { width, height } = await sizeOf(file);
  if (width * height > MOST_PIXELS) {
    throw new PictureError(`That picture is too large (${width}×${height} pixels). The limit is ${MOST_PIXELS / 1e6} megapixels.`);
  }
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none" };
  const scale = LONGEST_SIDE / Math.max(width, height);
  if (scale < 1) {
    options.resizeWidth = Math.max(1, Math.round(width * scale));
    options.resizeHeight = Math.max(1, Math.round(height * scale));
    options.resizeQuality = "high";
  }
  try {
    return await createImageBitmap(file, options);
  } catch {
    throw new PictureError(UNREADABLE);
  }
}

/** Reads the size alone: a picture is decoded only once it is known not to be huge. */
async function sizeOf(file) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new PictureError(UNREADABLE));
      image.src = url;
    });
    if (!image.naturalWidth || !image.naturalHeight) throw new PictureError(UNREADABLE);
    return { width: image.naturalWidth, height: image.naturalHeight };
  } finally {
    URL.revokeObjectURL(url);
  }
}
