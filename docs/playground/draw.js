// The area in which the reader draws, and the digit of 28 x 28 pixels that it becomes.
const SIDE = 28, BOX = 20; // MNIST: scaled into 20 x 20, then the centre of mass in the middle
const PEN = 2.4; // width of the stroke in pixels of the digit, as in MNIST
const STEP = 0.04; // of the side: what an arrow key moves the pen by

export class Pad {
  /** `changed` is called with the digit, or null when the area is empty. */
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, strokes: [], pen: [0.5, 0.5], down: false, keys: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.keys = false;
      this.begin(this.where(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId) && this.down) {
        for (const each of event.getCoalescedEvents?.() ?? [event]) this.go(this.where(each));
        this.show();
      }
    });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => (this.down = false));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { this.keys = this.down = false; this.paint(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  where(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  begin(point) {
    this.down = true;
    this.pen = point;
    this.strokes.push([point]);
    this.show();
  }

  go(point) {
    this.pen = point.map((v) => Math.min(1, Math.max(0, v)));
    if (this.down) this.strokes.at(-1).push(this.pen);
  }

  key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (move) this.go(this.pen.map((v, k) => v + STEP * move[k]));
    else if (event.key === " ") this.down ? (this.down = false) : this.begin(this.pen);
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else return;
    this.keys = true;
    event.preventDefault();
    this.show();
  }

  clear() {
    this.strokes = [];
    this.down = false;
    this.show();
  }

  show() {
    this.paint();
    this.changed(this.strokes.length ? this.digit() : null);
  }

  paint() {
    const { canvas } = this, pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.strokeStyle = style.getPropertyValue("--ink");
    trace(pen, this.strokes, canvas.width, 0, 0, canvas.width * PEN / 24);
    if (this.keys) {
      pen.fillStyle = style.getPropertyValue(this.down ? "--bad" : "--main");
      pen.beginPath();
      pen.arc(this.pen[0] * canvas.width, this.pen[1] * canvas.height, 7, 0, 7);
      pen.fill();
    }
  }

  /** Return the pixels, from 0 to 1, prepared as those of MNIST are. */
  digit() {
    const points = this.strokes.flat();
    const [low, high] = [Math.min, Math.max].map((f) => [0, 1].map((k) => f(...points.map((p) => p[k]))));
    const size = Math.max(high[0] - low[0], high[1] - low[1], 0.05), scale = (BOX - PEN) / size;
    const middle = [0, 1].map((k) => SIDE / 2 - scale * (low[k] + high[k]) / 2);
    const first = this.pixels(scale, ...middle);
    let mass = 0, x = 0, y = 0;
    first.forEach((v, k) => { mass += v; x += v * (k % SIDE + 0.5); y += v * (Math.floor(k / SIDE) + 0.5); });
    const by = [SIDE / 2 - x / mass, SIDE / 2 - y / mass];
    return this.pixels(scale, middle[0] + by[0], middle[1] + by[1]);
  }

  pixels(scale, left, top) {
    const canvas = new OffscreenCanvas(SIDE, SIDE), pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.strokeStyle = "#000";
    trace(pen, this.strokes, scale, left, top, PEN);
    const { data } = pen.getImageData(0, 0, SIDE, SIDE);
    return Float32Array.from({ length: SIDE * SIDE }, (_, k) => data[4 * k + 3] / 255);
  }
}

function trace(pen, strokes, scale, left, top, width) {
  Object.assign(pen, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    pen.beginPath();
    pen.moveTo(left + scale * stroke[0][0], top + scale * stroke[0][1]);
    for (const [x, y] of stroke) pen.lineTo(left + scale * x, top + scale * y);
    pen.stroke();
  }
}
