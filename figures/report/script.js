// Without this script everything can be read; with it, rows light their way, sliders move, commands are copied.
"use strict";
const VALUES = typeof document === "undefined" ? null : JSON.parse(document.getElementById("values").textContent);

// The constants of a form under some values of its parameters, and the form at one argument.
function constantsOf(name, parameters) {
  const found = {};
  for (const [key, f] of Object.entries(FORMS[name].constants)) found[key] = f(parameters);
  return found;
}
function pointsOf(name, about, constants) {
  const points = [];
  for (let x = about.low; x <= about.high; x++)
    points.push([x, FORMS[name].form({...constants, ...about.fixed, [about.argument]: x})]);
  return points;
}

function drawn(svg, about, before, after) {
  const top = 1.05 * Math.max(...before.concat(after).map(p => p[1]), 1e-9);
  const at = ([x, y]) => [50 + 410 * (x - about.low) / (about.high - about.low), 200 - 185 * y / top];
  const line = points => points.map(p => at(p).map(n => n.toFixed(2)).join(",")).join(" ");
  const make = (kind, attributes, words) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words !== undefined) made.textContent = words;
    svg.append(made);
  };
  svg.replaceChildren();
  make("path", {d: "M50 15V200H460", fill: "none", stroke: "#000"});
  make("polyline", {points: line(before), fill: "none", stroke: "#000", "stroke-dasharray": "4 3"});
  make("polyline", {points: line(after), fill: "none", stroke: "#D55E00", "stroke-width": 2.5});
  make("text", {x: 255, y: 232, "text-anchor": "middle", "font-size": 13}, about.words);
  for (const x of [about.low, about.high])
    make("text", {x: at([x, 0])[0], y: 216, "text-anchor": "middle", "font-size": 12}, String(x));
  for (const y of [0, top / 1.05])
    make("text", {x: 45, y: at([0, y])[1] + 4, "text-anchor": "end", "font-size": 12}, y.toPrecision(2));
}

function sliders(section) {
  const name = section.dataset.form, about = VALUES.sliders[name];
  const inputs = [...section.querySelectorAll("input")];
  const original = Object.fromEntries(about.parameters.map(one => [one.name, one.value]));
  const before = pointsOf(name, about, about.constants);
  const show = () => {
    const parameters = {...original};
    for (const input of inputs) {
      if (input.dataset.moved) parameters[input.dataset.parameter] = Number(input.value);
      input.nextElementSibling.textContent = parameters[input.dataset.parameter].toPrecision(6);
    }
    const constants = constantsOf(name, parameters);
    const told = Object.entries(constants).map(([key, value]) => `${key} = ${value.toPrecision(10)}`).join(", ");
    const valid = Object.values(constants).every(Number.isFinite);
    section.querySelector(".now").textContent = valid ? told : told + ": the closed form has no value here";
    drawn(section.querySelector("svg"), about, before, valid ? pointsOf(name, about, constants) : before);
  };
  for (const input of inputs)
    input.addEventListener("input", () => { input.dataset.moved = "1"; show(); });
  section.querySelector(".reset").addEventListener("click", () => {
    for (const input of inputs) { delete input.dataset.moved; input.value = original[input.dataset.parameter]; }
    show();
  });
  show();
}

// A row that is chosen lights those that its chain leads to: parameters light columns, columns light parameters.
function lights() {
  const parameters = [...document.querySelectorAll("tr[data-parameter]")];
  const columns = [...document.querySelectorAll("tr[data-column]")];
  const buttons = new Map();
  const choose = row => {
    const was = buttons.get(row).getAttribute("aria-pressed") === "true";
    for (const [one, button] of buttons) {
      one.classList.remove("lit");
      button.setAttribute("aria-pressed", "false");
    }
    if (was) return;
    buttons.get(row).setAttribute("aria-pressed", "true");
    const {parameter, column} = row.dataset;
    for (const one of columns)
      if (one === row || (parameter && one.dataset.column in VALUES.moves[parameter])) one.classList.add("lit");
    for (const one of parameters)
      if (one === row || (column && column in VALUES.moves[one.dataset.parameter])) one.classList.add("lit");
  };
  for (const row of parameters.concat(columns)) {
    const head = row.querySelector("th"), button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => choose(row));
    head.replaceChildren(button);
    buttons.set(row, button);
  }
}

function copies() {
  for (const button of document.querySelectorAll(".copy")) {
    const code = button.previousElementSibling;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {  // a browser that lets no page from the disk copy: the text is chosen instead
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }
}

function contents() {
  const links = new Map([...document.querySelectorAll("nav a")].map(a => [a.hash.slice(1), a]));
  const follow = () => {
    let now = null;
    for (const id of links.keys())
      if (document.getElementById(id).getBoundingClientRect().top < 120) now = id;
    for (const [id, a] of links) id === now ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current");
  };
  addEventListener("scroll", follow, {passive: true});
  follow();
}

if (VALUES !== null) {
  for (const one of document.querySelectorAll(".scripted")) one.hidden = false;
  document.querySelectorAll(".form").forEach(sliders);
  lights();
  copies();
  contents();
}
