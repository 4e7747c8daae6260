"""The report in a real browser: Chromium, at a phone's and a desktop's width, light and dark."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from records import benchmark, everything, write

from benchmark.report.build import redraw

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
if BROWSER is None:
    pytest.skip("Chromium is not installed: apt-get install chromium", allow_module_level=True)
for module in ("playwright", "axe_playwright_python"):
    if find_spec(module) is None:
        pytest.skip(
            f"{module} is not installed: it is in the extra 'test'", allow_module_level=True
        )

SLOW = pytest.mark.slow
VIEWS = [
    ("small", 390, "dark"),
    ("small", 1280, "light"),
    pytest.param("small", 390, "light", marks=SLOW),
    pytest.param("small", 1280, "dark", marks=SLOW),
    *(
        pytest.param("large", width, scheme, marks=SLOW)
        for width in (390, 1280)
        for scheme in ("light", "dark")
    ),
]
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # The tests may run as root, as in a container, where Chromium's sandbox cannot.
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def axe():
    import axe_playwright_python

    # Only the script that the package brings along: what its own classes do is one call.
    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


def large(folder):
    return everything(folder, seeds=3)


def small(folder):
    """Two data sets, one of a strange name, and nothing known of them."""
    tasks = ("shoes", "a-very-long-name-without-any-space-in-it/that-goes-on-and-on-and-on")
    gains = {"one": 0.1, "two": -0.1}
    records = [
        r
        for i, task in enumerate(tasks)
        for r in benchmark(i, gains=gains, labels=(20, 50), seeds=2, task=task)
    ]
    return write(folder, records)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Return the page of a benchmark by its name, drawn once."""
    drawn = {}

    def report(name):
        if name not in drawn:
            folder = {"large": large, "small": small}[name](tmp_path_factory.mktemp(name))
            drawn[name] = redraw(folder).folder / "report.html"
        return drawn[name]

    return report


@pytest.fixture
def opened(browser, reports):
    """Open a report; at the end nothing was said on the console, and nothing was asked of a network."""
    said, pages = [], []

    def open_(name, width, scheme, **how):
        page = browser.new_page(
            viewport={"width": width, "height": 844}, color_scheme=scheme, **how
        )
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(request.url[:100]))
        page.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:")) else said.append(r.url[:100]),
        )
        page.goto(reports(name).as_uri())
        return page

    yield open_
    for page in pages:
        page.close()
    assert said == []


@pytest.mark.parametrize(("name", "width", "scheme"), VIEWS)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    opened, axe, name, width, scheme
):
    page = opened(name, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Cells are all alike: of each row, some are looked at.
    page.evaluate(
        "document.querySelectorAll('details details:nth-child(n+4)').forEach(d => d.remove())"
    )
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in SERIOUS]
    assert serious == []


def test_axe_would_find_something(opened, axe):
    """That the check itself works: a picture without words is found."""
    page = opened("small", 1280, "light")
    page.evaluate("document.querySelector('img').removeAttribute('alt')")
    page.evaluate(axe)
    found = page.evaluate("axe.run({runOnly: ['image-alt']})")["violations"]
    assert [v["id"] for v in found] == ["image-alt"]


@SLOW
def test_every_picture_is_drawn(opened):
    page = opened("large", 390, "light")
    sizes = page.evaluate(
        "[...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth])"
    )
    assert len(sizes) == 15
    assert all(complete and natural > 0 and 0 < shown <= 390 for complete, natural, shown in sizes)


def test_figures_follow_the_scheme(opened):
    """The corner of a figure is the page's colour, and its ink is light on dark."""

    def colours(scheme):
        page = opened("small", 1280, scheme)
        return page.locator("figure img").first.screenshot()

    assert _mean(colours("light")) > 200
    assert _mean(colours("dark")) < 80


def _mean(png):
    import io

    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("L")).mean()


def test_it_can_be_used_by_keyboard(opened):
    page = opened("small", 1280, "light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details').open")


def test_the_verdict_is_on_the_first_screen(opened):
    for width in (390, 1280):
        box = opened("small", width, "light").locator("#verdict .headline").bounding_box()
        assert box["y"] + box["height"] < 844


def test_it_prints_on_white(opened):
    page = opened("small", 1280, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
