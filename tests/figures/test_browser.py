"""The page in a real browser, from the disk and without a network: it draws, moves, lights up, prints, harms nobody."""

import dataclasses
import json
import os
import re
import sys
from pathlib import Path

import pytest

from derivation import load_record, whatif
from figures.report import page
from figures.report.gathering import gather
from foundation.outside import load_file
from rmaat.training.configs import find_experiment
from rmaat.training.studies.summary import read_summaries, summarise, write_summaries
from rmaat.training.trainer import train

ROOT = Path(__file__).parents[2]
AXE = Path(sys.prefix) / "axe" / "axe.min.js"
FOCUSABLE = "a[href], button, input, summary, [tabindex='0']"
HOSTILE = ["<script>window.hostile=1</script>", "\"><img src=x onerror=window.hostile=1>", "'};window.hostile=1;//",
           "$\\frac{x^$ </script><svg onload=window.hostile=1>", "y" * 5000]


@pytest.fixture(scope="module")
def shots():
    """docs/make_screenshots.py, which drives the browser."""
    pytest.importorskip("selenium", reason="drives the browser: pip install -e '.[dev]'")
    found = load_file(ROOT / "docs" / "make_screenshots.py")
    if not (found.installed() and AXE.exists()):
        why = "the tests of the page need Debian's Chromium, its driver and axe: make browser"
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    return found


@pytest.fixture(scope="module")
def record():
    return load_record()


@pytest.fixture(scope="module")
def drawn(shots, record):
    return page.unchanging(record)


@pytest.fixture(scope="module")
def places(shots, tmp_path_factory):
    """A run of 20 steps, and runs of the same whose names are programs."""
    folder = tmp_path_factory.mktemp("runs")
    train(find_experiment("recall", {"train.steps": 20, "train.evaluate_every": 10}), folder / "recall")
    run = summarise(folder / "recall")
    hostile = [dataclasses.replace(run, config_hash=f"{place:064}", fingerprints={name: name}, experiment={
        **run.experiment, "name": name, "task": {**run.experiment["task"], "name": name}})
        for place, name in enumerate(HOSTILE)]
    write_summaries(folder / "hostile.json", "study", hostile)
    assert len(read_summaries(folder / "hostile.json")) == len(HOSTILE)
    return [folder / "recall", folder / "hostile.json"]


@pytest.fixture(scope="module")
def file(places, drawn, tmp_path_factory):
    return page.report(places, tmp_path_factory.mktemp("page") / "a page.html", drawn=drawn)


@pytest.fixture(scope="module")
def window(shots):
    with shots.browser() as driver:
        yield driver


@pytest.fixture
def driver(shots, window, file):
    """The page, just opened, light and 1280 pixels wide."""
    shots.look(window)
    shots.resize(window, 1280)
    window.get(file.as_uri())
    window.execute_script("sessionStorage.clear()")
    window.get(file.as_uri())
    return window


def texts(driver, address):
    return driver.execute_script("return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)",
                                 address)


# ---------------------------------------------------------------------------------------------- it is drawn


@pytest.mark.slow
def test_it_opens_without_a_network_and_without_an_error(driver):
    assert driver.execute_script("return navigator.onLine") is False
    assert driver.get_log("browser") == []
    assert texts(driver, "h2") == [words for _, words in page.PARTS]


@pytest.mark.slow
def test_every_picture_is_drawn(driver):
    drawn = driver.execute_script("""return [...document.images].map(one => {
        const box = one.getBoundingClientRect();
        return [one.alt.length, one.complete, one.naturalWidth, one.naturalHeight, box.width, box.height]; })""")
    assert len(drawn) >= 6
    assert all(alt > 40 and whole and min(size) > 20 for alt, whole, *size in drawn), drawn
    charts = driver.execute_script("return [...document.querySelectorAll('.chart svg')].map(one => "
                                   "[one.getBoundingClientRect().height, one.querySelectorAll('polyline').length])")
    assert len(charts) == 2 and all(height > 100 and lines == 2 for height, lines in charts)


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1024, 2560])
def test_nothing_is_wider_than_the_window(driver, shots, width):
    shots.resize(driver, width)
    assert driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]


@pytest.mark.slow
def test_names_that_are_programs_run_nothing(driver):
    assert driver.execute_script("return [window.hostile, document.querySelectorAll('[onerror], [onload]').length]"
                                 ) == [None, 0]
    shown = " ".join(texts(driver, "h3"))
    assert all(name[:20] in shown for name in HOSTILE), "they are shown, as what they are"


@pytest.mark.slow
def test_the_page_may_load_nothing(driver):
    refused = driver.execute_async_script("""const [done] = arguments, refused = [];
        document.addEventListener("securitypolicyviolation", event => {
            refused.push(event.effectiveDirective); if (refused.length === 3) done(refused.sort()); });
        const image = new Image(); image.src = "https://example.org/x.png";
        fetch("https://example.org/").catch(() => 0);
        const frame = document.createElement("iframe"); frame.src = "https://example.org/"; document.body.append(frame);
        """)
    assert refused == ["connect-src", "frame-src", "img-src"]


@pytest.mark.slow
def test_without_scripts_everything_can_be_read(driver, file):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(file.as_uri())
        seen = driver.find_element("css selector", "main").text
        assert all(words in seen for _, words in page.PARTS)
        assert "retention by whatif, at the marks" in seen and "graupner_brunel.tau_Ca" in seen  # tables are open
        assert not any(one.is_displayed() for one in driver.find_elements("css selector", "button, input"))
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


# ---------------------------------------------------------------------------------------------- it answers


@pytest.mark.slow
@pytest.mark.parametrize(("name", "share"), [
    ("graupner_brunel.tau", 1.2), ("li_rinzel.ip3", 0.8), ("astrocyte_network.F_linear", 1.1), ("li_rinzel.O_2", 0.9),
    ("tau_cycle", 1.137), ("a", 0.77), ("gamma_l", 0.9)])
def test_a_slider_moves_the_curves_to_the_numbers_of_whatif(driver, record, name, share):
    use = next(use for entry in record.entries.values() for use in entry.parameters if use.name == name)
    value = use.value * share
    curves = driver.execute_script("""
        const input = document.querySelector(`[data-parameter="${arguments[0]}"]`);
        input.value = arguments[1];
        input.dispatchEvent(new Event("input"));
        return Object.fromEntries([...document.querySelectorAll(".chart")].map(one => [one.dataset.form, [
            one.querySelector(".now").textContent,
            JSON.parse(one.querySelector("polyline.after").dataset.values)]]))""", name, repr(value))
    after = whatif({name: f"{value!r} {use.unit if use.unit != '1' else ''}".strip()}).after
    for curve, arguments in (("retention", {"t": None, "T": 8.0}), ("relative_position", {"distance": None})):
        told, points = curves[curve]
        entry = after.entry(curve)
        shown = {key: float(number) for key, number in re.findall(r"(\w+) = ([-\d.e]+)", told)}
        assert shown == pytest.approx(entry.values(), rel=1e-6)
        free = next(key for key, given in arguments.items() if given is None)
        assert len(points) >= 8
        for x, y in points:
            assert y == pytest.approx(entry.evaluate(**arguments | {free: float(x)}), rel=1e-6)
    driver.find_element("css selector", ".reset").click()
    assert f"q = {record.entry('retention').values()['q']:.10f}" in texts(driver, ".now")


@pytest.mark.slow
def test_a_place_of_the_chain_lights_its_way(driver, drawn):
    graph = drawn["graph"]
    for kind, name in (("parameter", "graupner_brunel.tau"), ("tensor", "retention.retention")):
        node = next(one for one in graph.nodes if (one.kind, one.name) == (kind, name))
        reached = {node.key}
        start, end = (0, 1) if kind == "parameter" else (1, 0)
        for _ in graph.edges:
            reached |= {edge[end] for edge in graph.edges if edge[start] in reached}
        if kind == "parameter":
            reached |= {edge[0] for edge in graph.edges if edge[1] == node.key}
        driver.find_element("id", node.key).click()
        lit = driver.execute_script("return [...document.querySelectorAll('.node.lit')].map(one => one.id)")
        assert set(lit) == reached and len(reached) > 3
        ways = driver.execute_script("return document.querySelectorAll('.ways path.lit').length")
        assert ways == sum(set(edge) <= reached for edge in graph.edges)
        told = driver.find_element("id", "told").text
        assert name in told and ("10 %" in told or "Held against" in told)
        driver.find_element("id", node.key).click()
        assert driver.find_element("id", "told").text == "Nothing is chosen."


@pytest.mark.slow
def test_a_link_leads_to_its_part(driver):
    for link in driver.find_elements("css selector", "nav a"):
        link.click()
        wait(driver, lambda link=link: link.get_attribute("aria-current") == "true")
        top = driver.execute_script("return document.querySelector(location.hash).getBoundingClientRect().top")
        assert -5 < top < 300 or link.text == "Again"  # the last one may be too short to come to the top


@pytest.mark.slow
def test_everything_is_reached_by_the_keyboard(driver):
    from selenium.webdriver import ActionChains, Keys

    driver.execute_script("""
        window.reached = [];
        document.addEventListener("focusin", event => {
            const style = getComputedStyle(event.target);
            window.reached.push([event.target, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2]);
        })""")
    count = driver.execute_script(f"""window.wanted = [...document.querySelectorAll("{FOCUSABLE}")].filter(one =>
        one.checkVisibility({{visibilityProperty: true}})); return window.wanted.length""")
    assert count > 100
    for _ in range(0, count, 20):
        ActionChains(driver, duration=0).send_keys(*[Keys.TAB] * 20).perform()
    missed, unseen = driver.execute_script("""
        const reached = new Map(window.reached), text = one => one.outerHTML.slice(0, 120);
        return [window.wanted.filter(one => !reached.has(one)).map(text),
                [...reached].filter(([, seen]) => !seen).map(([one]) => text(one))]""")
    assert missed == [] and unseen == []
    order = driver.execute_script("""return window.reached.every(([one], place, all) => place === 0 || place >=
        window.wanted.length || all[place - 1][0].compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING)""")
    assert order, "focus goes down the page"


@pytest.mark.slow
def test_keys_do_what_a_click_does(driver):
    from selenium.webdriver import Keys

    node = driver.find_element("css selector", ".node")
    for key, pressed in ((Keys.ENTER, "true"), (Keys.SPACE, "false")):
        node.send_keys(key)
        assert node.get_attribute("aria-pressed") == pressed
    slider = driver.find_element("css selector", "input[data-parameter='tau_pl']")
    before = texts(driver, ".now")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert texts(driver, ".now") != before
    summary = driver.find_element("css selector", "details.by-hand summary")
    summary.send_keys(Keys.ENTER)
    assert driver.execute_script("return document.querySelector('details.by-hand').open") is True


@pytest.mark.slow
def test_a_command_is_copied_or_at_least_selected(driver):
    button = driver.find_element("css selector", "#again .copy")
    command = button.find_element("xpath", "preceding-sibling::code").text
    button.click()
    wait(driver, lambda: button.text.split()[0] in ("copied", "selected"))
    if driver.execute_script("return getSelection().toString()"):
        assert driver.execute_script("return getSelection().toString()").strip() == command


@pytest.mark.slow
def test_a_pictures_numbers_are_downloaded(driver, tmp_path):
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    figures = driver.find_elements("css selector", "#training figure")
    figure = next(one for one in figures if "Training loss, recall." in one.text)
    figure.find_element("css selector", ".download").click()
    wait(driver, lambda: [path.suffix for path in tmp_path.iterdir()] == [".csv"])
    (path,) = tmp_path.iterdir()
    head, *rows = path.read_text("utf-8-sig").splitlines()
    assert path.name == "Training_loss_recall.csv" and head.startswith("step,")
    assert [row.split(",")[0] for row in rows] == [str(step) for step in range(1, 21)]


def wait(driver, until):
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(driver, 600, poll_frequency=0.05).until(lambda _: until())


# ---------------------------------------------------------------------------------------------- for everybody


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(driver, shots, dark):
    shots.look(driver, dark=dark)
    driver.find_element("css selector", ".node").click()
    driver.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    driver.execute_script(AXE.read_text("utf-8"))
    found = driver.execute_async_script("axe.run({resultTypes: ['violations']}).then(arguments[0])")
    assert len(found["passes"]) > 20
    bad = [(one["id"], one["impact"], [node["html"][:150] for node in one["nodes"]][:3]) for one in found["violations"]
           if one["impact"] in ("serious", "critical")]
    assert bad == []


@pytest.mark.slow
def test_in_print_every_part_begins_a_page_and_no_picture_is_cut(driver, shots):
    import base64

    pdf = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert len(re.findall(rb"/Type /Page\b", pdf)) > len(page.PARTS)
    assert driver.execute_script("return [...document.querySelectorAll('details.by-hand')].every(one => one.open)")
    shots.look(driver, media="print")
    shots.resize(driver, 718)  # what A4 leaves between Chromium's margins, in pixels
    seen = driver.find_element("css selector", "body").text
    assert all(words in seen for _, words in page.PARTS) and "Download as CSV" not in seen
    breaks = driver.execute_script("return [...document.querySelectorAll('main > section')].map(one => "
                                   "getComputedStyle(one).breakBefore)")
    assert breaks == ["page"] * len(page.PARTS)
    figures = driver.execute_script("""return [...document.querySelectorAll('main figure:not(.chart)')].map(one => [
        one.querySelector("img").getBoundingClientRect().height, one.getBoundingClientRect().right,
        getComputedStyle(one).breakInside])""")
    assert figures and all(height < 1046 and right <= 718 and inside == "avoid" for height, right, inside in figures)


# ---------------------------------------------------------------------------------------------- it follows


@pytest.mark.slow
def test_a_page_that_is_written_again_loads_itself_anew_and_stays_where_it_was(driver, places, drawn, tmp_path):
    window, live = driver, tmp_path / "live.html"
    found = gather(places[:1])
    page.write(page.page(found, drawn, every=1), live)
    window.get(live.as_uri())
    node = next(one.key for one in drawn["graph"].nodes if one.name == "tau_cycle")
    window.find_element("id", node).click()
    window.execute_script("scrollTo(0, 1200)")
    page.write(page.page(gather(places), drawn), live)
    wait(window, lambda: f"{1 + len(HOSTILE)} runs" in window.title)
    assert window.find_element("id", node).get_attribute("aria-pressed") == "true"
    wait(window, lambda: abs(window.execute_script("return scrollY") - 1200) < 5)
    assert json.loads(window.find_element("id", "values").get_attribute("textContent"))["every"] is None
