// The numbers behind the sliders: nothing here knows of a page, so that a test can run it anywhere.
"use strict";

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

// Fritsch and Carlson's cubic through the marks, in logarithms: at a mark its very value, between two that rise rising,
// a power law exactly. All are above zero; outside the marks there is no value.
function interpolated(at, values, x) {
  const known = at.indexOf(x);
  if (known >= 0) return values[known];
  if (!(x > at[0] && x < at[at.length - 1])) return NaN;
  const u = at.map(Math.log), w = values.map(Math.log);
  const slope = u.slice(1).map((end, i) => (w[i + 1] - w[i]) / (end - u[i]));
  const tangent = u.map((_, i) => {
    const [left, right] = [slope[i - 1] ?? slope[i], slope[i] ?? slope[i - 1]];
    return left * right <= 0 ? 0 : 2 * left * right / (left + right);  // no steeper than thrice either side
  });
  const i = u.findIndex((end, k) => Math.log(x) < u[k + 1]);
  const h = u[i + 1] - u[i], t = (Math.log(x) - u[i]) / h;
  return Math.exp(w[i] * (1 + 2 * t) * (1 - t) ** 2 + h * tangent[i] * t * (1 - t) ** 2
                  + w[i + 1] * t * t * (3 - 2 * t) + h * tangent[i + 1] * t * t * (t - 1));
}

// The parameters of the closed forms where `moved` (name -> value) are elsewhere. What is itself moved stays so, as in
// whatif; several behind one reduction multiply their ratios.
function parametersOf(about, moved) {
  const found = {...about.exact};
  for (const [name, value] of Object.entries(moved)) {
    const through = about.reduced[name]?.through ?? {}, at = about.reduced[name]?.at;
    for (const [constant, values] of Object.entries(through))
      found[constant] *= interpolated(at, values, value) / about.exact[constant];
  }
  for (const [name, value] of Object.entries(moved)) if (name in about.exact) found[name] = value;
  return found;
}
