// Parts of the page that are drawn from what the worker tells.
import { drawTiles } from "./tiles.js";

/** Draw filters and the outputs of each layer into a box, a row each; `t` says words. */
export function drawLayers(box, { filters, layers = [] }, dead, t) {
  const rows = [...(filters ? [{ ...filters, says: t("weights") }] : []), ...layers];
  const names = rows.map((row) => row.name).join();
  if (box.dataset.names !== names || box.children.length !== rows.length) {
    box.dataset.names = names;
    box.replaceChildren(...rows.map(() => {
      const row = document.createElement("div");
      row.innerHTML = '<h3><code></code> <span></span></h3><canvas class="tiles" role="img"></canvas>';
      return row;
    }));
  }
  rows.forEach((row, k) => {
    const element = box.children[k], canvas = element.querySelector("canvas"), counts = dead[row.name];
    const words = [row.says ?? row.of.join(" × "), ...(counts ? [t("dead", { dead: counts[0], all: counts[1] })] : [])];
    element.querySelector("code").textContent = row.name;
    element.querySelector("span").textContent = words.join(" · ");
    canvas.setAttribute("aria-label", `${row.name}: ${words.join(", ")}`);
    canvas.style.width = `${drawTiles(canvas, row, box.clientWidth)}px`;
  });
}

/** Draw a bar for the probability of each class. */
export function drawClasses(list, shares) {
  if (list.children.length !== shares.length) {
    list.replaceChildren(...shares.map((_, k) => {
      const item = document.createElement("li"), box = document.createElement("i");
      box.append(document.createElement("b"));
      item.append(box, String(k));
      return item;
    }));
  }
  shares.forEach((share, k) => (list.children[k].querySelector("b").style.height = `${100 * share}%`));
}

/** Show the result of an experiment; `pictures` has those of the documentation. */
export function drawResult(at, found, lang, pictures) {
  const { title, see, verdict } = found[lang];
  at("result-title").textContent = title;
  at("result-see").textContent = see;
  at("result-verdict").textContent = verdict;
  at("result-verdict").className = found.found ? "good" : "bad";
  at("result-rows").replaceChildren(...found.rows.map((row) => {
    const line = document.createElement("tr");
    for (const text of row) line.insertCell().textContent = text;
    return line;
  }));
  const picture = at("result-picture").querySelector("img") ?? document.createElement("img");
  at("result-picture").prepend(picture);
  found.address ??= found.picture ? URL.createObjectURL(new Blob([found.picture], { type: "image/png" }))
    : `${pictures}${found.name.replaceAll("_", "-")}.png`;
  picture.alt = title;
  if (picture.getAttribute("src") !== found.address) picture.src = found.address;
  at("result-source").hidden = Boolean(found.picture);
}
