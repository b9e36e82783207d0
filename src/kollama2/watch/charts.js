// Curves as SVG: one chart for each kind of training, one line for each trained model.
const svg = (tag, attributes = {}, ...parts) => {
  const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(...parts);
  return one;
};
// Pixels.
const HEIGHT = 260, LEFT = 44, BOTTOM = 24, TOP = 8;

// Round numbers between two, about as many as are wanted.
const ticks = (low, high, wanted) => {
  const rough = (high - low || 1) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Number(at.toPrecision(12)));
  return found;
};
const brief = (value) => {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))}${letter}`;
  return String(Number(value.toPrecision(3)));
};

const chart = (curves, places, width) => {
  const x = curves.every((one) => one.points.every((point) => point.tokens != null)) ? "tokens" : "step";
  const points = curves.map((one) => one.points.filter((point) => point.loss != null).map((point) => [point[x], point.loss]));
  const flat = points.flat(), losses = flat.map((one) => one[1]), right = Math.max(...flat.map((one) => one[0]));
  const low = Math.min(...losses), high = Math.max(...losses), room = (high - low) * 0.05 || 0.1;
  const atX = (value) => LEFT + (value / (right || 1)) * (width - LEFT - 8);
  const atY = (value) => HEIGHT - BOTTOM - ((value - low + room) / (high - low + 2 * room)) * (HEIGHT - BOTTOM - TOP);
  const words = curves.map((one) => `${say("curve", one)}: ${say("curve.last", { loss: one.points.at(-1).loss })}`);
  const drawn = svg("svg", { width, height: HEIGHT, role: "img", "aria-label": words.join("; ") });
  for (const value of ticks(low - room, high + room, 5)) {
    drawn.append(
      svg("line", { class: "axis", x1: LEFT, x2: width - 8, y1: atY(value), y2: atY(value) }),
      svg("text", { x: LEFT - 6, y: atY(value) + 4, "text-anchor": "end" }, String(value)));
  }
  for (const value of ticks(0, right, 5)) {
    drawn.append(svg("text", { x: atX(value), y: HEIGHT - 6, "text-anchor": "middle" }, brief(value)));
  }
  points.forEach((line, at) => {
    const look = lookOf(places.get(curves[at].recipe));
    if (line.length === 1) drawn.append(svg("circle", { class: look, cx: atX(line[0][0]), cy: atY(line[0][1]), r: 2 }));
    const path = line.map(([a, b]) => `${atX(a).toFixed(1)},${atY(b).toFixed(1)}`).join(" ");
    drawn.append(svg("polyline", { class: `line ${look}`, points: path }));
  });
  return { drawn, x };
};
const lookOf = (place) => `k${place % 8}${place >= 8 ? " dashed" : ""}`;

// All charts of a study, with legends that say each line's last loss in words.
const charts = (curves, recipes, width) => {
  const places = new Map(recipes.map((one, at) => [one, at]));
  const begun = curves.filter((one) => one.points.some((point) => point.loss != null));
  return [...new Set(begun.map((one) => one.kind))].map((kind) => {
    const shown = begun.filter((one) => one.kind === kind);
    const { drawn, x } = chart(shown, places, width);
    const legend = shown.map((one) => {
      const line = { class: lookOf(places.get(one.recipe)), x1: 0, x2: 22, y1: 4, y2: 4, "stroke-width": 2.5 };
      const key = svg("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, svg("line", line));
      const state = one.state === "done" ? "" : both("state." + one.state);
      return make("li", {}, key, both("curve", one), " · ", String(one.points.at(-1).loss), state && " · ", state);
    });
    const caption = make("figcaption", {}, both("curves.axes." + x));
    return make("figure", {}, make("h3", {}, both("kind." + kind)), drawn, caption, make("ul", { class: "legend" }, ...legend));
  });
};
