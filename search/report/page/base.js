"use strict";
// What every figure needs: the data, elements, numbers and ticks. No text is ever read as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const figures = (value, digits = 3) =>
  value === 0 ? "0" : String(Number(value.toPrecision(digits)));
const signed = (value, digits = 2) => (value > 0 ? "+" : "") + value.toFixed(digits);

function ticks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

// A frame with axes; x and y turn values into pixels.
function frame(width, height, [x0, x1], [y0, y1], xTitle, yTitle) {
  const left = 48, right = 12, top = 24, bottom = 42;
  const x = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const y = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - top - bottom);
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  for (const tick of ticks(x0, x1, width / 90)) {
    root.append(
      svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }),
      svg("text", { class: "quiet", x: x(tick), y: height - bottom + 16, "text-anchor": "middle" }, String(tick)),
    );
  }
  for (const tick of ticks(y0, y1, height / 60)) {
    root.append(
      svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "quiet", x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick)),
    );
  }
  root.append(
    svg("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xTitle),
    svg("text", { x: 4, y: 11 }, yTitle),
  );
  return { root, x, y, left, right: width - right, top, bottom: height - bottom };
}

function showTip(node, words) {
  const tip = byId("tip"), box = node.getBoundingClientRect();
  tip.textContent = words;
  tip.hidden = false;
  const x = Math.min(Math.max(box.left + 14, 4), window.innerWidth - tip.offsetWidth - 4);
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${x}px`;
  tip.style.top = `${above > 0 ? above : box.bottom + 8}px`;
}
const hideTip = () => { byId("tip").hidden = true; };

// Draws now, and again whenever the place gets another width.
function drawn(place, draw) {
  let width = 0;
  const redraw = () => {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    draw(width);
  };
  redraw();
  new ResizeObserver(redraw).observe(place);
}
