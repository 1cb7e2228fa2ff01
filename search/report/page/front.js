// The front: points to hover, filter and select; other trials are a cloud of one path.
const front = data.front, state = { selected: data.pick, gene: -1, value: -1, resolution: -1 };
const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const resolutionGene = data.genes.findIndex((gene) => gene.name === "network.resolution");
const listeners = [];

const kept = (code) =>
  (state.resolution < 0 || code(resolutionGene) === state.resolution) &&
  (state.gene < 0 || state.value < 0 || code(state.gene) === state.value);
const visible = (i) => kept((gene) => front.codes[i][gene]);

const described = (i) =>
  `${front.id[i].slice(0, 8)}${i === data.pick ? " (the pick)" : front.tie[i] ? " (ties with the best)" : ""}\n` +
  `${figures(front.time[i])} ${data.unit}, at confidence ${figures(front.at[i])} ${data.unit}\n` +
  `top-1 ${front.top1[i].toFixed(1)} % (${front.low[i].toFixed(1)} to ${front.high[i].toFixed(1)})\n` +
  (front.fresh[i] ? `${front.fresh[i]}\n` : "") +
  `${front.params_m[i].toFixed(2)} M parameters, ${front.macs_m[i].toFixed(0)} M MACs`;

function select(i, focus) {
  state.selected = i;
  for (const point of document.querySelectorAll(".point[role=radio]")) {
    const own = Number(point.dataset.index) === i;
    point.setAttribute("aria-checked", own);
    point.setAttribute("tabindex", own ? 0 : -1);
    if (own && focus) point.focus();
  }
  for (const listener of listeners) listener(i);
}

function ranges() {
  const { time, at, top1, low, high } = front;
  const zoo = data.references;
  const most = Math.max(...at, data.hard ? data.budget : 0);
  const x = [Math.min(...time) * 0.95, most * 1.06];
  const seen = zoo.filter((one) => one.time >= x[0] && one.time <= x[1]).map((one) => one.top1);
  const span = Math.max(...top1, ...seen) - Math.min(...top1, ...seen);
  const pad = Math.max(0.08 * span, 0.5);
  return [x, [Math.min(...low, ...seen) - pad / 2, Math.max(...high, ...seen) + pad / 2]];
}

function cloud(axes) {
  const { time, top1, codes } = data.trials;
  const genes = data.genes.length, path = [];
  for (let i = 0; i < time.length; i++) {
    if (codes && !kept((gene) => alphabet.indexOf(codes[i * genes + gene]))) continue;
    path.push(`M${axes.x(time[i]).toFixed(1)} ${axes.y(top1[i]).toFixed(1)}h0`);
  }
  return svg("path", { class: "cloud", d: path.join(""), "clip-path": "url(#inside)" });
}

// A diamond each; its name where there is room for it, else on hovering.
function drawReferences(axes) {
  const wide = 6.4, high = 12;
  const box = (time, top1) => [axes.x(time) - 6, axes.y(top1) + 5, 12];
  const taken = [
    ...data.references.map((one) => box(one.time, one.top1)),
    ...front.time.map((time, i) => box(time, front.top1[i])),
  ];
  for (const one of data.references) {
    const x = axes.x(one.time), y = axes.y(one.top1), length = one.name.length * wide;
    if (x < axes.left || x > axes.right) continue;
    const words = `${one.name}\n${figures(one.time)} ${data.unit}\ntop-1 ${one.top1.toFixed(1)} %`;
    const mark = svg("path", { class: "reference", d: `M${x} ${y - 5}l5 5l-5 5l-5 -5z`, role: "img", "aria-label": words });
    mark.addEventListener("pointerenter", () => showTip(mark, words));
    mark.addEventListener("pointerleave", hideTip);
    axes.root.append(mark);
    const places = [4, 16, -8].flatMap((down) => [[x + 8, y + down], [x - 8 - length, y + down]]);
    const place = places.find(([left, low]) =>
      left > axes.left && left + length < axes.right && low < axes.bottom &&
      !taken.some(([l, b, w]) => left < l + w && l < left + length && Math.abs(low - b) < high));
    if (!place) continue;
    taken.push([...place, length]);
    axes.root.append(svg("text", { class: "reference", x: place[0], y: place[1] }, one.name));
  }
}

function point(axes, i, chosen) {
  const ready = data.panels[i] !== null;
  const node = svg("circle", {
    class: `point${i === data.pick ? " pick" : ""}${ready ? "" : " fixed"}`,
    cx: axes.x(front.time[i]), cy: axes.y(front.top1[i]), r: i === data.pick ? 8 : ready ? 5.5 : 3,
    "aria-label": described(i), "data-index": i,
  });
  if (ready) {
    node.setAttribute("role", "radio");
    node.setAttribute("aria-checked", i === state.selected);
    node.setAttribute("tabindex", i === chosen ? 0 : -1);
    node.addEventListener("click", () => select(i, true));
    node.addEventListener("focus", () => showTip(node, described(i)));
    node.addEventListener("blur", hideTip);
    node.addEventListener("keydown", (event) => step(event, i));
  } else node.setAttribute("role", "img");
  node.addEventListener("pointerenter", () => showTip(node, described(i)));
  node.addEventListener("pointerleave", hideTip);
  return node;
}

function step(event, i) {
  const all = selectable(), at = all.indexOf(i);
  const to = {
    ArrowRight: all[at + 1], ArrowUp: all[at + 1], ArrowLeft: all[at - 1], ArrowDown: all[at - 1],
    Home: all[0], End: all[all.length - 1], Enter: i, " ": i,
  }[event.key];
  if (event.key === "Escape") hideTip();
  if (to === undefined) return;
  event.preventDefault();
  select(to, true);
}

const selectable = () => front.id.map((_, i) => i).filter((i) => data.panels[i] !== null && visible(i));

function drawFront(width) {
  const height = Math.max(300, Math.min(520, width * 0.62)), [xs, ys] = ranges();
  const axes = frame(width, height, xs, ys, data.x_title, data.y_title);
  const root = axes.root, shown = front.id.map((_, i) => i).filter(visible);
  root.setAttribute("role", "radiogroup");
  root.setAttribute("aria-label", `Front of ${front.id.length} networks: ${data.x_title} against ${data.y_title}`);
  root.append(svg("clipPath", { id: "inside" }, svg("rect", {
    x: axes.left, y: axes.top, width: axes.right - axes.left, height: axes.bottom - axes.top })));
  root.append(cloud(axes));
  const budget = axes.x(data.budget);
  if (budget < axes.right) {
    const end = budget > width / 2;
    root.append(
      svg("line", { class: "budget", x1: budget, x2: budget, y1: axes.top, y2: axes.bottom }),
      svg("text", { class: "budget", x: budget + (end ? -5 : 5), y: axes.bottom - 8, "text-anchor": end ? "end" : "start" }, data.budget_label),
    );
  }
  drawReferences(axes);
  root.append(svg("path", { class: "step", d: shown.map((i, k) =>
    `${k ? "H" : "M"}${axes.x(front.time[i])}${k ? "V" : " "}${axes.y(front.top1[i])}`).join("") }));
  for (const i of shown) {
    const x = axes.x(front.time[i]), y = axes.y(front.top1[i]);
    root.append(
      svg("line", { class: "uncertain", x1: x, x2: axes.x(front.at[i]), y1: y, y2: y }),
      svg("line", { class: "uncertain", x1: x, x2: x, y1: axes.y(front.low[i]), y2: axes.y(front.high[i]) }),
    );
  }
  const all = selectable(), chosen = all.includes(state.selected) ? state.selected : all[0];
  for (const i of shown) root.append(point(axes, i, chosen));
  byId("front-figure").replaceChildren(root);
  byId("filter-count").textContent = `${shown.length} of ${front.id.length} networks`;
}

function options(select, first, values) {
  select.replaceChildren(element("option", { value: -1 }, first));
  values.forEach(([value, words]) => select.append(element("option", { value }, words)));
}

function filters() {
  const place = byId("front-figure"), redraw = () => drawFront(place.clientWidth);
  const choices = (gene) => data.genes[gene].choices.map((choice, i) => [i, choice]);
  options(byId("filter-resolution"), "any", resolutionGene < 0 ? [] : choices(resolutionGene));
  byId("filter-resolution").disabled = resolutionGene < 0;
  const others = data.genes.map((gene, i) => [i, gene.name]).filter(([i]) => i !== resolutionGene);
  options(byId("filter-gene"), "any", others);
  options(byId("filter-value"), "any", []);
  byId("filter-resolution").addEventListener("change", (event) => {
    state.resolution = Number(event.target.value);
    redraw();
  });
  byId("filter-gene").addEventListener("change", (event) => {
    state.gene = Number(event.target.value);
    state.value = -1;
    options(byId("filter-value"), "any", state.gene < 0 ? [] : choices(state.gene));
    redraw();
  });
  byId("filter-value").addEventListener("change", (event) => {
    state.value = Number(event.target.value);
    redraw();
  });
  byId("to-pick").addEventListener("click", () => select(data.pick, false));
}

function showFront() {
  filters();
  drawn(byId("front-figure"), drawFront);
}
