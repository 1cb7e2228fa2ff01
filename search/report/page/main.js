// The history of the search; then everything is drawn once.
function drawHistory(width) {
  const { trials, hypervolume } = data.history, height = 240;
  const most = hypervolume[hypervolume.length - 1];
  const axes = frame(width, height, [0, Math.max(trials[trials.length - 1], 1)], [0, most * 1.05 || 1], "trials", "hypervolume");
  axes.root.setAttribute("role", "img");
  axes.root.setAttribute("aria-label", `Hypervolume over ${trials[trials.length - 1]} trials, at the end ${figures(most, 4)}`);
  axes.root.append(svg("path", { class: "step", d: trials.map((n, k) =>
    `${k ? "H" : "M"}${axes.x(n)}${k ? "V" : " "}${axes.y(hypervolume[k])}`).join("") }));
  byId("history").replaceChildren(axes.root);
}

if (byId("front")) {
  showFront();
  showPanels();
  drawn(byId("history"), drawHistory);
}
document.documentElement.dataset.ready = "yes";
