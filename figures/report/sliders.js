// The sliders, and the curves that they move.
function chart(svg, about, before, after) {
  const top = 1.05 * Math.max(...before.concat(after).map(p => p[1]), 1e-9);
  const at = ([x, y]) => [56 + 408 * (x - about.low) / (about.high - about.low), 204 - 188 * y / top];
  const line = points => points.map(p => at(p).map(n => n.toFixed(2)).join(",")).join(" ");
  const make = (kind, attributes, words) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words !== undefined) made.textContent = words;
    svg.append(made);
  };
  svg.replaceChildren();
  for (const share of [0, .25, .5, .75, 1]) {
    const y = share * top / 1.05, [, height] = at([0, y]);
    make("path", {d: `M56 ${height}H464`, class: share ? "grid" : "axis"});
    make("text", {x: 50, y: height + 4, "text-anchor": "end"}, Number(y.toPrecision(3)).toString());
  }
  const step = about.high - about.low > 9 ? 2 : 1;
  for (let x = about.low; x <= about.high; x += step)
    make("text", {x: at([x, 0])[0], y: 222, "text-anchor": "middle"}, String(x));
  make("text", {x: 260, y: 243, "text-anchor": "middle"}, about.words);
  make("polyline", {points: line(after), class: "after", "data-values": JSON.stringify(after)});
  for (const p of after) make("circle", {cx: at(p)[0], cy: at(p)[1], r: 3.5, class: "after"});
  make("polyline", {points: line(before), class: "before"});
}

function sliders(place) {
  const about = VALUES.sliders, inputs = [...place.querySelectorAll("input")];
  const charts = [...place.querySelectorAll(".chart")];
  const before = Object.fromEntries(Object.entries(about.curves).map(([name, curve]) =>
    [name, pointsOf(name, curve, curve.constants)]));
  const moved = kept("moved") ?? {};
  const show = () => {
    const parameters = parametersOf(about, moved);
    for (const input of inputs) {
      const name = input.dataset.parameter, own = about.exact[name] ?? Number(input.defaultValue);
      const value = name in moved ? moved[name] : own, percent = 100 * (value / own - 1);
      input.value = value;
      input.closest("label").querySelector("output").textContent =
        value.toPrecision(6) + (Math.abs(percent) < .005 ? "" : ` (${percent > 0 ? "+" : "−"}${Math.abs(percent).toFixed(1)} %)`);
    }
    for (const one of charts) {
      const name = one.dataset.form, curve = about.curves[name], constants = constantsOf(name, parameters);
      const valid = Object.values(constants).every(Number.isFinite);
      const told = Object.entries(constants).map(([key, value]) => `${key} = ${value.toPrecision(10)}`).join(", ");
      one.querySelector(".now").textContent = valid ? told : `${told}: the closed form has no value here`;
      chart(one.querySelector("svg"), curve, before[name], valid ? pointsOf(name, curve, constants) : before[name]);
    }
    keep("moved", moved);
  };
  for (const input of inputs)
    input.addEventListener("input", () => { moved[input.dataset.parameter] = Number(input.value); show(); });
  place.querySelector(".reset").addEventListener("click", () => {
    for (const name of Object.keys(moved)) delete moved[name];
    show();
  });
  show();
}
