#!/usr/bin/env python3
"""The attention page in a headless Chromium: what a reader sees and does, on a telephone and on a desk.

    python tests/visualization/attention_page_browser_test.py build/tests/rapt_sample_page [unittest's arguments]

Exit code 77, which ctest shows as skipped, where there is neither Chromium nor Chrome.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from browser import Browser, find_browser  # noqa: E402

PROGRAM = None
SKIPPED = 77
PHONE = {"width": 390, "height": 844, "mobile": True}
DESK = {"width": 1280, "height": 900}

HOSTILE = ["</script><b>x", "\"&'<", "مرحبا", "我", "🙂", "<!--<script>", "\\u003c", "a\u202eb\u200f", "&amp;", "ein",
           "Donaudampfschifffahrtsgesellschaftskapitän"]
TITLE = "</title><script>window.hacked = 1</script>"
SOURCE = ["<img src=x onerror=window.hacked=1>", *HOSTILE, "</s>"]
TARGET = ["<s>", *reversed(HOSTILE), "ビール", "한국어", "</s>"]
LONG = [f"word{number}" for number in range(60)]
HEADS, LAYERS = 3, 2
SECTIONS = ["Encoder self-attention", "Decoder self-attention", "Decoder to source"]
QUERIES = [SOURCE, TARGET[:-1], TARGET[1:]]
KEYS = [SOURCE, TARGET[:-1], SOURCE]

# The open map as the reader has it: labels, and the weights of the cells.
READ_MAP = """(() => {
  const labels = (selector) => [...document.querySelectorAll(selector)].map((label) => label.textContent);
  return {
    heading: document.querySelector(".viewer h2").textContent,
    rows: labels(".map tbody th"),
    columns: labels(".map thead th:not(.corner)"),
    cells: [...document.querySelectorAll(".map tbody tr")].map((row) => [...row.querySelectorAll("td")].map((cell) => ({
      weight: Number(cell.dataset.weight), label: cell.getAttribute("aria-label"), shown: cell.textContent,
      masked: cell.classList.contains("masked"), size: [cell.offsetWidth, cell.offsetHeight]}))),
  };
})()"""
NO_OVERFLOW = "document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth"


class Pages(unittest.TestCase):
    page = None

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.temporary.name)
        cls.file, cls.long = folder / "page.html", folder / "long.html"
        cls.truth = cls.make(cls.file, SOURCE, TARGET)
        cls.make(cls.long, LONG, ["<s>", *LONG, "</s>"])
        cls.browser = Browser(find_browser())

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.temporary.cleanup()

    @classmethod
    def make(cls, path, source, target):
        """Writes a page; returns the weights that it must show."""
        result = subprocess.run([PROGRAM, path, TITLE, " ".join(source), " ".join(target[1:-1]), *source, "--", *target],
                                check=True, capture_output=True)
        return list(json.loads(result.stdout).values())

    def open(self, path=None, **options):
        if self.page:
            self.page.close()
        self.page = self.browser.open(path or self.file, **options)
        return self.page

    def tearDown(self):
        self.assertEqual(self.page.events("Runtime.exceptionThrown", "Runtime.consoleAPICalled"), [])
        for event in self.page.events("Log.entryAdded"):  # "rendering" is about how this test reads canvases
            self.assertEqual(event["params"]["entry"]["source"], "rendering", event)
        requests = [event["params"]["request"]["url"] for event in self.page.events("Network.requestWillBeSent")]
        self.assertEqual({url.split("#")[0] for url in requests}, {self.page.evaluate("location.href.split('#')[0]")})
        self.assertIsNone(self.page.evaluate("window.hacked ?? null"))
        self.page.close()
        self.page = None

    def open_map(self, section, layer, head):
        index = (section * LAYERS + layer) * HEADS + head
        self.page.evaluate(f"document.querySelectorAll('.head')[{index}].click()")

    def check_map(self, section, layer, head):
        shown = self.page.evaluate(READ_MAP)
        queries, keys = QUERIES[section], KEYS[section]
        self.assertEqual(shown["heading"], f"{SECTIONS[section]} layer {layer + 1}, head {head + 1}")
        self.assertEqual(shown["rows"], queries)
        self.assertEqual(shown["columns"], keys)
        self.assertEqual([len(row) for row in shown["cells"]], [len(keys)] * len(queries))
        flat = self.truth[section][layer]
        self.assertEqual(len(flat), HEADS * len(queries) * len(keys))
        for q, row in enumerate(shown["cells"]):
            self.assertAlmostEqual(sum(cell["weight"] for cell in row), 1, delta=1e-3)
            for k, cell in enumerate(row):
                true = flat[(head * len(queries) + q) * len(keys) + k]
                self.assertAlmostEqual(cell["weight"], true, delta=1.01e-4)
                self.assertEqual(cell["label"], f"{cell['weight']:.4f}")
                self.assertEqual(cell["masked"], section == 1 and k > q)
                self.assertGreaterEqual(min(cell["size"]), 24)
                if cell["masked"]:
                    self.assertEqual((cell["weight"], cell["shown"]), (0, ""))
                elif cell["weight"] >= 0.005:
                    self.assertAlmostEqual(float(cell["shown"]), cell["weight"], delta=0.00501)

    def check_every_map(self, **window):
        self.open(**window)
        self.assertTrue(self.page.evaluate(NO_OVERFLOW))
        for section in range(3):
            for layer in range(LAYERS):
                for head in range(HEADS):
                    with self.subTest(section=section, layer=layer, head=head):
                        self.open_map(section, layer, head)
                        self.check_map(section, layer, head)
                        self.assertTrue(self.page.evaluate(NO_OVERFLOW))
                        self.page.evaluate("document.getElementById('close').click()")
                        self.page.wait("location.hash === ''")

    def test_every_map_on_a_phone(self):
        self.check_every_map(**PHONE)

    def test_every_map_on_a_desk(self):
        self.check_every_map(**DESK)

    def test_texts(self):
        self.open(**PHONE)
        self.assertEqual(self.page.evaluate("document.title"), TITLE)
        self.assertEqual(self.page.evaluate("document.querySelector('h1').textContent"), TITLE)
        self.assertEqual(self.page.evaluate("document.querySelector('.source').textContent"), " ".join(SOURCE))
        self.assertEqual(self.page.evaluate("document.querySelector('.target').textContent"), " ".join(TARGET[1:-1]))
        self.assertEqual(self.page.evaluate("[...document.querySelectorAll('section > h2')].map((h) => h.textContent)"),
                         SECTIONS)
        self.assertEqual(self.page.evaluate("document.scripts.length"), 2)
        self.assertEqual(self.page.evaluate("document.images.length + document.querySelectorAll('b').length"), 0)
        self.assertEqual(self.page.evaluate("document.querySelectorAll('.head').length"), 3 * LAYERS * HEADS)

    def test_no_overflow_in_any_window(self):
        for path in self.file, self.long:
            for width in 320, 390, 719, 768, 1280, 2000:
                with self.subTest(path=path.name, width=width):
                    self.open(path, width=width, height=700)
                    self.assertTrue(self.page.evaluate(NO_OVERFLOW))
                    for view in "as-map", "as-lines":
                        self.open_map(2, 1, 1)
                        self.page.evaluate(f"document.getElementById('{view}').click()")
                        self.assertTrue(self.page.evaluate(NO_OVERFLOW))
                        if view == "as-lines":
                            self.assertTrue(self.page.evaluate("stage.scrollWidth <= stage.clientWidth"))
                        # Everything beside the map itself is within the window.
                        self.assertEqual(self.page.evaluate("""[...document.querySelectorAll('.viewer > *, .bar > *')]
                          .filter((element) => {
                            const box = element.getBoundingClientRect();
                            return box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > innerHeight;
                          }).map((element) => element.outerHTML.slice(0, 80))"""), [])
                        self.page.evaluate("document.getElementById('close').click()")
                        self.page.wait("location.hash === ''")

    def test_large_targets(self):
        self.open(**PHONE)
        smallest = "Math.min(...[...document.querySelectorAll('%s')].map((e) => Math.min(e.offsetWidth, e.offsetHeight)))"
        self.assertGreaterEqual(self.page.evaluate(smallest % ".head"), 44)
        self.open_map(0, 0, 0)
        self.assertGreaterEqual(self.page.evaluate(smallest % ".bar button"), 44)
        self.page.evaluate("document.getElementById('as-lines').click()")
        self.assertGreaterEqual(self.page.evaluate(smallest % ".lines button"), 34)

    def test_touch(self):
        self.open(**PHONE)
        self.page.tap(".head:nth-child(2)")  # the first layer's second head
        self.page.wait("document.querySelector('dialog').open")
        self.check_map(0, 0, 1)
        self.page.tap(".map tbody tr:nth-child(4) td:nth-of-type(6)")
        self.page.wait("document.querySelector('#readout .value')")
        self.assertEqual(self.page.evaluate("[...document.querySelectorAll('#readout b')].map((b) => b.textContent)"),
                         [SOURCE[3], SOURCE[5]])
        n = len(SOURCE)
        self.assertAlmostEqual(float(self.page.evaluate("document.querySelector('#readout .value').textContent")),
                               self.truth[0][0][(n + 3) * n + 5], delta=1.01e-4)
        self.page.tap(".map tbody tr:nth-child(3) th")  # a whole row: what it looks at most, in order
        self.page.wait("document.querySelectorAll('#readout b').length > 2")
        row = self.truth[0][0][(n + 2) * n:(n + 3) * n]
        best = sorted(range(n), key=lambda k: -row[k])[:4]
        self.assertEqual(self.page.evaluate("[...document.querySelectorAll('#readout b')].map((b) => b.textContent)"),
                         [SOURCE[2], *(SOURCE[k] for k in best)])
        self.page.tap("#next")
        self.page.wait("location.hash === '#1.1.3'")
        self.check_map(0, 0, 2)
        self.page.tap("#close")
        self.page.wait("!document.querySelector('dialog').open")

    def test_mouse(self):
        self.open(**DESK)
        self.page.click("section:nth-of-type(2) .layer:nth-of-type(2) .head")
        self.page.wait("document.querySelector('dialog').open")
        self.check_map(1, 1, 0)
        self.page.hover(".map tbody tr:nth-child(3) td:nth-of-type(2)")
        self.page.wait("document.querySelector('#readout .value')")
        self.assertEqual(self.page.evaluate("[...document.querySelectorAll('.map th.on')].map((th) => th.textContent)"),
                         [TARGET[1], TARGET[2]])
        for button in "previous", "next":
            self.page.click(f"#{button}")
        self.page.wait("location.hash === '#2.2.1'")
        self.check_map(1, 1, 0)

    def test_keyboard(self):
        self.open(**DESK)
        self.page.press("Tab")
        self.page.press("Tab")
        self.assertEqual(self.page.evaluate("document.activeElement.ariaLabel"), SECTIONS[0] + ", layer 1, head 2")
        self.page.press("Enter")
        self.page.wait("document.querySelector('dialog').open")
        self.page.press("Tab")  # the button that closes
        self.assertEqual(self.page.evaluate("document.activeElement.id"), "close")
        while self.page.evaluate("document.activeElement.localName") != "td":
            self.page.press("Tab")
        for key in "ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft":
            self.page.press(key)
        self.assertEqual(self.page.evaluate("[...document.querySelectorAll('#readout b')].map((b) => b.textContent)"),
                         [SOURCE[1], SOURCE[0]])
        self.page.press("Tab")  # leaves the map at once, not cell by cell
        self.assertEqual(self.page.evaluate("document.activeElement.id"), "as-map")
        self.page.evaluate("document.getElementById('next').focus()")
        self.page.press("Enter")
        self.page.press("Escape")
        self.page.wait("!document.querySelector('dialog').open && location.hash === ''")
        self.assertEqual(self.page.evaluate("document.activeElement.ariaLabel"), SECTIONS[0] + ", layer 1, head 3")

    def test_back_closes_and_links_open(self):
        self.open(**PHONE)
        self.page.tap(".head")
        self.page.wait("location.hash === '#1.1.1'")
        self.page.tap("#next")
        self.page.wait("location.hash === '#1.1.2'")
        self.page.evaluate("history.back()")
        self.page.wait("!document.querySelector('dialog').open && location.hash === ''")
        self.page.evaluate("history.forward()")
        self.page.wait("document.querySelector('dialog').open")
        self.check_map(0, 0, 1)

        self.open(fragment="#3.2.3", **PHONE)
        self.page.wait("document.querySelector('dialog').open")
        self.check_map(2, 1, 2)
        self.page.tap("#close")
        self.page.wait("!document.querySelector('dialog').open && location.hash === ''")
        self.open(fragment="#9.9.9", **PHONE)
        self.assertFalse(self.page.evaluate("document.querySelector('dialog').open"))

    def test_lines(self):
        self.open(**PHONE)
        self.open_map(2, 0, 1)
        self.page.tap("#as-lines")
        self.page.wait("document.querySelector('.lines')")
        tokens = "[...document.querySelectorAll('.lines .%s span')].map((span) => span.textContent)"
        self.assertEqual(self.page.evaluate(tokens % "from"), QUERIES[2])
        self.assertEqual(self.page.evaluate(tokens % "to"), KEYS[2])
        rows, columns = len(QUERIES[2]), len(KEYS[2])
        weights = self.truth[2][0][rows * columns:2 * rows * columns]
        lines = self.page.evaluate("document.querySelectorAll('.lines path').length")
        self.assertAlmostEqual(lines, sum(weight >= 0.005 for weight in weights), delta=3)
        self.page.tap(".lines .from button:nth-child(3)")
        self.page.wait("document.querySelector('.lines .from .on')")
        shown = self.page.evaluate("[...document.querySelectorAll('.lines .to i')].map((i) => Number(i.textContent))")
        for k, value in enumerate(shown):
            self.assertAlmostEqual(value, weights[2 * columns + k], delta=0.0052)
        self.page.tap(".lines .to button:nth-child(2)")
        self.page.wait("document.querySelector('.lines .to .on')")
        shown = self.page.evaluate("[...document.querySelectorAll('.lines .from i')].map((i) => Number(i.textContent))")
        for q, value in enumerate(shown):
            self.assertAlmostEqual(value, weights[q * columns + 1], delta=0.0052)

    def test_thumbnails_and_colours(self):
        """The small map has the colours of the large one, which differ with the weights, by day and by night."""
        self.open(**DESK)
        pages = []
        for dark in False, True:
            before = self.page.evaluate("getComputedStyle(scale).backgroundImage")
            self.page.dark(dark)
            if dark:
                self.page.wait(f"getComputedStyle(scale).backgroundImage !== {json.dumps(before)}")
            self.open_map(1, 0, 2)
            # The background of each cell, and the thumbnail's pixel for it.
            colours = self.page.evaluate("""(() => {
              const canvas = document.querySelectorAll(".head canvas")[%d];
              const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              return [...document.querySelectorAll(".map tbody tr")].map((row, q) =>
                [...row.querySelectorAll("td")].map((cell, k) =>
                  [getComputedStyle(cell).backgroundColor, [...pixels.data.slice(4 * (q * canvas.width + k), 4 * (q * canvas.width + k) + 4)]]));
            })()""" % (LAYERS * HEADS + 2))
            seen = set()
            for row in colours:
                for css, pixel in row:
                    alpha = 0 if css == "rgba(0, 0, 0, 0)" else 255
                    self.assertEqual(pixel[3], alpha)  # masked cells are empty
                    if alpha:
                        self.assertEqual(css, f"rgb({pixel[0]}, {pixel[1]}, {pixel[2]})")
                        seen.add(css)
            self.assertGreater(len(seen), 20)
            pages.append(seen)
            self.page.evaluate("document.getElementById('close').click()")
            self.page.wait("location.hash === ''")
        self.assertNotEqual(*pages)
        # More weight is darker by day and lighter by night, all the way.
        night = self.page.evaluate("getComputedStyle(scale).backgroundImage")
        self.page.dark(False)
        self.page.wait(f"getComputedStyle(scale).backgroundImage !== {json.dumps(night)}")
        for direction, text in ((1, night), (-1, self.page.evaluate("getComputedStyle(scale).backgroundImage"))):
            stops = [sum(map(int, stop.split(")")[0].split(","))) * direction for stop in text.split("rgb(")[1:]]
            self.assertEqual(len(stops), 21)
            self.assertEqual(stops, sorted(stops))

    def test_directions_of_writing(self):
        self.open(**DESK)
        self.open_map(0, 0, 0)
        label = "document.querySelectorAll('.map %s th:not(.corner) span')[%d]"
        for token, direction, turned in (("مرحبا", "rtl", True), ("我", "ltr", False), ("🙂", "ltr", False),
                                         ("ein", "ltr", True)):
            for part in "thead", "tbody":
                element = label % (part, SOURCE.index(token))
                self.assertEqual(self.page.evaluate(f"getComputedStyle({element}).direction"), direction)
                self.assertEqual(self.page.evaluate(f"{element}.className"),
                                 "turned" if turned and part == "thead" else "")
                # The label is wholly visible, whatever its script.
                self.assertTrue(self.page.evaluate(f"{element}.scrollWidth <= {element}.clientWidth + 1"))

    def test_without_scripts(self):
        """The sentences are in the document itself, and a line says why there are no maps."""
        self.open(**PHONE)
        self.page.call("Emulation.setScriptExecutionDisabled", value=True)
        self.page.call("Page.reload")
        self.page.wait("document.readyState === 'complete' && document.querySelector('noscript > p')")
        self.assertEqual(self.page.evaluate("document.querySelector('.target').innerText"), " ".join(TARGET[1:-1]))
        self.assertEqual(self.page.evaluate("document.querySelectorAll('.head').length"), 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    if find_browser() is None:
        print("skipped: no Chromium and no Chrome here")
        sys.exit(SKIPPED)
    unittest.main()
