// The selected network: blocks with milliseconds, a waterfall, and the changes of one choice.
const view = { byOp: false, target: 0 };

const sums = (panel) => {
  const found = panel.parts.map(() => 0);
  panel.times[view.target].ops.forEach((ms, i) => { found[panel.places[i]] += ms; });
  return found;
};

function diagram(panel) {
  const parts = sums(panel), most = Math.max(...parts);
  byId("diagram").replaceChildren(...panel.parts.map((part, k) => {
    const bar = element("i");
    bar.style.width = `${(100 * parts[k]) / most}%`;
    const blocks = [];
    for (const text of part.blocks) {
      const last = blocks[blocks.length - 1];
      if (last && last.text === text) last.count++;
      else blocks.push({ text, count: 1 });
    }
    return element("li", { class: "stage" },
      element("h4", {}, element("span", {}, part.name), element("span", {}, `${figures(parts[k])} ms`)),
      element("div", { class: "meter", "aria-hidden": "true" }, bar),
      element("span", { class: "quiet" }, `in ${part.input}`),
      ...blocks.map(({ text, count }) =>
        element("code", { class: "block" }, count > 1 ? `${count} × ${text}` : text)));
  }));
}

function rows(panel) {
  const times = panel.times[view.target];
  const found = view.byOp
    ? times.ops.map((ms, i) => [`${panel.parts[panel.places[i]].name}: ${data.ops[panel.ops[i]]}`, ms])
    : sums(panel).map((ms, k) => [panel.parts[k].name, ms]);
  return [...found, ["whatever is run", times.run]];
}

function waterfall(width, panel) {
  const all = rows(panel), whole = panel.times[view.target].whole, high = 20;
  const label = view.byOp ? Math.min(width * 0.42, 330) : 110, right = 66;
  const height = (all.length + 1) * high + 6, scale = (width - label - right) / whole;
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Waterfall of ${figures(whole)} ms: ` + all.map(([name, ms]) => `${name} ${figures(ms)}`).join(", ") });
  let from = 0;
  const letters = Math.floor(label / 6.6);
  const row = (k, name, start, ms, kind) => {
    const short = name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
    root.append(
      svg("text", { x: 0, y: k * high + 14 }, short, svg("title", {}, name)),
      svg("rect", { class: kind, x: label + start * scale, y: k * high + 4, width: Math.max(ms * scale, 1), height: high - 7, rx: 2 }),
      svg("text", { x: width, y: k * high + 14, "text-anchor": "end" }, `${figures(ms)} ms`),
    );
  };
  all.forEach(([name, ms], k) => { row(k, name, from, ms, "bar"); from += ms; });
  row(all.length, "together", 0, whole, "total");
  byId("waterfall").replaceChildren(root);
}

const verdict = (cost, points, fits) =>
  !fits ? "breaks a limit"
    : Math.abs(points) < data.tie_points && Math.abs(cost) < 1e-9 ? "the same"
    : points >= data.tie_points ? (cost > 0 ? "better, and slower" : "better")
    : points > -data.tie_points ? (cost < 0 ? "a tie, and faster" : "a tie, no faster")
    : cost < 0 ? "faster, and worse" : "no faster, and worse";

// Of each choice the change that keeps all limits with most points; if none does, the cheapest.
function nextBest(others) {
  const best = new Map();
  for (const row of others) {
    const [gene, , cost, points, fits] = row, last = best.get(gene);
    const wins = !last || (fits > last[4]) ||
      (fits === last[4] && (fits ? points > last[3] : cost < last[2]));
    if (wins) best.set(gene, row);
  }
  return [...best.values()];
}

function others(panel) {
  const shown = byId("all-others").checked ? panel.others : nextBest(panel.others);
  // on a phone each cell says its own head
  const heads = [...document.querySelectorAll("#others thead th")].map((head) => head.textContent);
  const cell = (at, text, more = {}) => element("td", { "data-head": heads[at], ...more }, text);
  const number = (at, text) => cell(at, text, { class: "number" });
  const told = (value, digits) => (value === null ? "?" : signed(value, digits));
  document.querySelector("#others tbody").replaceChildren(...shown.map(([gene, choice, cost, points, fits]) =>
    element("tr", {},
      element("th", { scope: "row" }, data.genes[gene].name),
      cell(1, data.genes[gene].choices[panel.code[gene]]),
      cell(2, data.genes[gene].choices[choice]),
      number(3, told(cost, 3)), number(4, told(points, 2)),
      cell(5, verdict(cost, points, fits)))));
}

function showNetwork(i) {
  const panel = data.panels[i];
  const words = [described(i).split("\n").join("; ")];
  if (data.targets.length > 1) {
    words.push(data.targets.map((name, k) => `${name} ${figures(panel.times[k].whole)} ms`).join(", "));
  }
  byId("network-words").textContent = words.join("; ");
  byId("network-text").textContent = front.text[i];
  diagram(panel);
  waterfall(byId("waterfall").clientWidth, panel);
  others(panel);
}

function showPanels() {
  const again = () => showNetwork(state.selected);
  byId("target-label").hidden = data.targets.length < 2;
  byId("target").replaceChildren(...data.targets.map((name, value) => element("option", { value }, name)));
  byId("target").addEventListener("change", (event) => { view.target = Number(event.target.value); again(); });
  byId("others-unit").textContent = data.unit;
  byId("all-others").addEventListener("change", again);
  for (const [id, byOp] of [["by-stage", false], ["by-op", true]]) {
    byId(id).addEventListener("click", () => {
      view.byOp = byOp;
      byId("by-stage").setAttribute("aria-pressed", !byOp);
      byId("by-op").setAttribute("aria-pressed", byOp);
      again();
    });
  }
  listeners.push(showNetwork);
  drawn(byId("waterfall"), (width) => waterfall(width, data.panels[state.selected]));
  again();
}
