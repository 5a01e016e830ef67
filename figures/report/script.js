// Without this script everything can be read; with it, the chain lights up, sliders move, commands are copied.
const VALUES = JSON.parse(document.getElementById("values").textContent);

// What a reader chose, kept while the tab is open, where the browser lets a page from the disk keep anything.
function kept(name) {
  try { return JSON.parse(sessionStorage.getItem(location.pathname + name)); } catch { return null; }
}
function keep(name, value) {
  try { sessionStorage.setItem(location.pathname + name, JSON.stringify(value)); } catch { /* then it is not kept */ }
}

function saysFor(button, words) {
  const said = button.firstChild, before = said.textContent;
  said.textContent = words;
  setTimeout(() => { said.textContent = before; }, 1500);
}

function copies() {
  for (const button of document.querySelectorAll(".copy")) {
    const code = button.previousElementSibling;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        saysFor(button, "copied");
      } catch {  // a browser that lets no page from the disk copy: the text is selected instead
        getSelection().selectAllChildren(code);
        saysFor(button, document.execCommand("copy") ? "copied" : "selected");
      }
    });
  }
}

function downloads() {
  for (const button of document.querySelectorAll(".download")) {
    const figure = button.closest("figure"), title = figure.querySelector("figcaption strong").textContent;
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      const text = JSON.parse(figure.querySelector("script.csv").textContent);
      link.href = URL.createObjectURL(new Blob(["\ufeff" + text], {type: "text/csv"}));  // the mark: Excel's UTF-8
      link.download = title.replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_|_$/g, "").slice(0, 60) + ".csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
}

function contents() {
  const links = new Map([...document.querySelectorAll("nav a")].map(a => [a.hash.slice(1), a]));
  const follow = () => {
    let now = null;
    for (const id of links.keys())
      if (document.getElementById(id).getBoundingClientRect().top < innerHeight / 3) now = id;
    for (const [id, a] of links) {
      if (id !== now) a.removeAttribute("aria-current");
      else if (!a.hasAttribute("aria-current")) {
        a.setAttribute("aria-current", "true");
        const row = a.closest("ol"), left = a.getBoundingClientRect().left - row.getBoundingClientRect().left;
        row.scrollLeft += left - 16;  // on a small screen the row of links moves along
      }
    }
  };
  addEventListener("scroll", follow, {passive: true});
  follow();
}

// Long tables are closed at first; who prints sees them.
function folds() {
  const all = [...document.querySelectorAll("details.by-hand")];
  for (const one of all) one.open = false;
  addEventListener("beforeprint", () => { for (const one of all) one.open = true; });
}

for (const one of document.querySelectorAll(".scripted")) one.hidden = false;
folds();
if (document.getElementById("sliders")) {  // the page of a recording has no chain
  sliders(document.getElementById("sliders"));
  chain(document.querySelector(".graph"));
}
copies();
downloads();
contents();
if (VALUES.every) setTimeout(() => location.reload(), 1000 * VALUES.every);  // of a page that is written again
