// A curve on a canvas: training values, smoothed, as a line; test values as dots.
const WEIGHT = 0.9; // of the smoothed value before, in an exponential mean
const MOST = 4000; // points, of which every second one is dropped when there are more

export class Curve {
  constructor(canvas, { top, format }) {
    Object.assign(this, { canvas, top, format, names: ["", ""] });
    this.clear();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  clear() {
    Object.assign(this, { line: [], dots: [], mean: 0, share: 0, last: 0 });
    this.draw();
  }

  add(x, y) {
    this.last = x;
    if (!Number.isFinite(y)) return;
    this.mean = WEIGHT * this.mean + (1 - WEIGHT) * y;
    this.share = WEIGHT * this.share + (1 - WEIGHT); // what of the weights is used so far
    this.line.push([x, this.mean / this.share]);
    if (this.line.length > MOST) this.line = this.line.filter((_, k) => k % 2);
  }

  get value() {
    return this.share ? this.mean / this.share : NaN;
  }

  draw() {
    const scale = devicePixelRatio || 1, style = getComputedStyle(this.canvas);
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    if (!width) return;
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    const pen = this.canvas.getContext("2d"), color = (name) => style.getPropertyValue(name);
    pen.scale(scale, scale);
    pen.font = `12px ${style.fontFamily}`;
    const [left, right, above, below] = [44, width - 8, 8, height - 20];
    const points = [...this.line, ...this.dots].map((point) => point[1]);
    const top = this.top ?? nice(points.length ? Math.max(0.01, ...points) : 3);
    const end = Math.max(this.last, 100);
    const at = ([x, y]) => [left + (x / end) * (right - left), below - (Math.min(y, top) / top) * (below - above)];
    pen.strokeStyle = color("--line");
    pen.fillStyle = color("--faint");
    pen.textBaseline = "middle";
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      const y = at([0, part * top])[1];
      pen.beginPath();
      pen.moveTo(left, y);
      pen.lineTo(right, y);
      pen.stroke();
      pen.textAlign = "right";
      if (part * 4 % 2 === 0) pen.fillText(this.format(part * top), left - 6, y);
    }
    pen.textBaseline = "bottom";
    pen.fillText(`${end} ${this.names[1]}`, right, height - 2);
    pen.textAlign = "left";
    pen.fillText(this.names[0], left, height - 2);
    pen.strokeStyle = color("--loss");
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.beginPath();
    this.line.forEach((point, k) => pen[k ? "lineTo" : "moveTo"](...at(point)));
    pen.stroke();
    pen.fillStyle = color("--test");
    for (const dot of this.dots) {
      pen.beginPath();
      pen.arc(...at(dot), 4, 0, 7);
      pen.fill();
    }
  }
}

/** Return the next number whose half is short, too. */
function nice(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 1.6, 2, 3, 4, 6, 8, 10].find((step) => step * power >= most) * power;
}
