// Pictures of filters, feature maps and units: bytes, where 128 is 0, in rows of tiles.
const SIDE = 28; // pixels of a tile, about: those of small ones are drawn as blocks
const NARROW = 480; // pixels, below which fewer tiles stand in a row

/** Draw tiles {shape: [n, h, w], pixels} on a canvas, as many in a row as suits the room; return the width. */
export function drawTiles(canvas, { shape: [count, high, wide], pixels }, room = 1000, size = 44) {
  const small = high * wide === 1, narrow = room < NARROW;
  const most = (small ? 64 : 16) / (narrow ? 2 : 1);
  const columns = Math.min(count, most), rows = Math.ceil(count / columns);
  const gap = count > 1 ? 2 : 0, block = small ? 8 : Math.max(1, Math.round(SIDE / high));
  const [w, h] = [wide * block + gap, high * block + gap];
  const width = columns * w - gap, height = rows * h - gap;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
  const { colors, edge } = palette(canvas);
  for (let k = 0; k < count; k++) {
    const left = (k % columns) * w, top = Math.floor(k / columns) * h;
    for (let i = 0; i < Math.min(h, height - top); i++) {
      for (let j = 0; j < Math.min(w, width - left); j++) {
        const inside = i < high * block && j < wide * block;
        const from = 3 * pixels[(k * high + Math.floor(i / block)) * wide + Math.floor(j / block)];
        const to = 4 * ((top + i) * width + left + j);
        image.data.set(inside ? colors.subarray(from, from + 3) : edge, to);
        image.data[to + 3] = 255;
      }
    }
  }
  pen.putImageData(image, 0, 0);
  return columns * (small ? 11 : size);
}

let known = { key: "" };

/** Return red, green and blue of each byte and of the edges, from the colors of the page. */
function palette(canvas) {
  const style = getComputedStyle(canvas);
  const names = ["--minus", "--zero", "--plus", "--edge"].map((name) => style.getPropertyValue(name).trim());
  if (known.key !== names.join()) {
    const [minus, zero, plus, edge] = names.map(parts), colors = new Uint8Array(3 * 256);
    for (let byte = 0; byte < 256; byte++) {
      const part = Math.min(1, Math.abs(byte - 128) / 127), full = byte < 128 ? minus : plus;
      for (let c = 0; c < 3; c++) colors[3 * byte + c] = zero[c] + part * (full[c] - zero[c]);
    }
    known = { key: names.join(), colors, edge };
  }
  return known;
}

function parts(color) {
  const digits = color.length === 4 ? color.replace(/[^#]/g, "$&$&") : color;
  return [1, 3, 5].map((k) => parseInt(digits.slice(k, k + 2), 16));
}
