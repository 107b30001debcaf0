// The camera, as a stream of frames.

const LONGEST_SIDE = 480; // of a frame, for speed

const REASONS = {
  NotAllowedError: "The camera is blocked. Allow it for this page in the browser’s settings, or choose a photo.",
  NotFoundError: "No camera was found. Connect one, or choose a photo.",
  NotReadableError: "The camera is in use by another program. Close that, or choose a photo.",
};

export class Camera {
  #video;
  #whenLost;
  #stream = null;

  /** @param video where it shows @param whenLost what to do when it is unplugged or blocked */
  constructor(video, whenLost) {
    this.#video = video;
    this.#whenLost = whenLost;
  }

  get on() {
    return this.#stream !== null;
  }

  /** Starts it; throws an Error that says what to do. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The camera needs https or localhost. Open the page there, or choose a photo.");
    }
    try {
      const video = { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } };
      this.#stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
      this.#stream.getVideoTracks()[0].addEventListener("ended", this.#whenLost);
      this.#video.srcObject = this.#stream;
      await this.#video.play();
    } catch (error) {
      this.stop();
      throw new Error(REASONS[error.name] ?? `The camera did not start (${error.message}). Choose a photo instead.`);
    }
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }

  /** Returns the picture of now, of at most LONGEST_SIDE pixels; null while there is none. */
  async frame() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!width || !height) return null;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
    return createImageBitmap(this.#video, {
      resizeWidth: Math.round(width * scale),
      resizeHeight: Math.round(height * scale),
    });
  }
}
