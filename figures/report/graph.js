// The chain: a place that is chosen lights what it comes from and what it moves, and says what it is.
function chain(place) {
  const buttons = new Map([...place.querySelectorAll(".node")].map(one => [one.id, one]));
  const svg = place.querySelector(".ways"), told = [...document.querySelectorAll("#told .told")];
  const reached = (from, start, end) => {
    const found = new Set([from]);
    for (const one of found)
      for (const edge of VALUES.edges) if (edge[start] === one) found.add(edge[end]);
    return found;
  };
  let chosen = null, lit = new Set();
  const drawn = () => {
    const origin = place.getBoundingClientRect();
    const middle = (one, side) => {
      const box = one.getBoundingClientRect();
      return [box[side] - origin.left + place.scrollLeft, (box.top + box.bottom) / 2 - origin.top];
    };
    svg.setAttribute("width", place.scrollWidth);
    svg.setAttribute("height", place.clientHeight);
    const ways = VALUES.edges.map(([start, end]) => {
      const [x, y] = middle(buttons.get(start), "right"), [to, down] = middle(buttons.get(end), "left");
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      const bend = Math.max(30, (to - x) / 2);
      path.setAttribute("d", `M${x} ${y}C${x + bend} ${y} ${to - bend} ${down} ${to} ${down}`);
      if (lit.has(start) && lit.has(end)) path.setAttribute("class", "lit");
      return path;
    });
    svg.replaceChildren(...ways.sort((a, b) => a.hasAttribute("class") - b.hasAttribute("class")));
  };
  const choose = id => {
    chosen = id === chosen || !buttons.has(id) ? null : id;
    lit = chosen === null ? new Set() : new Set([...reached(chosen, 0, 1), ...reached(chosen, 1, 0)]);
    for (const [key, button] of buttons) {
      button.classList.toggle("lit", lit.has(key));
      button.setAttribute("aria-pressed", String(key === chosen));
    }
    place.classList.toggle("chosen", chosen !== null);
    for (const one of told) one.hidden = one.dataset.node !== (chosen ?? "");
    drawn();
    keep("chosen", chosen);
  };
  for (const [id, button] of buttons) button.addEventListener("click", () => choose(id));
  new ResizeObserver(drawn).observe(place);
  choose(kept("chosen"));
}
