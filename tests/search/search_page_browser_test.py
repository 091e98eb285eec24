#!/usr/bin/env python3
"""The page of a search in a headless Chromium: that it is drawn, fits its window, lights up and sorts.

    python tests/search/search_page_browser_test.py build/tests/rapt_sample_search_page [unittest's arguments]

Exit code 77, which ctest shows as skipped, where there is neither Chromium nor Chrome. With RAPT_SCREENSHOTS=FOLDER the
pages are written there as pictures.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "visualization"))
from browser import Browser, find_browser  # noqa: E402

PROGRAM = None
SKIPPED = 77
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844, "mobile": True}
LIT = "[...document.querySelectorAll('.lit')].map((element) => element.tagName + element.dataset.trial).sort()"
COLUMN = "[...document.querySelectorAll('tbody tr')].map((row) => row.cells[%d].textContent)"


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.file = pathlib.Path(cls.temporary.name) / "page.html"
        subprocess.run([PROGRAM, cls.file], check=True)
        cls.browser = Browser(find_browser())

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.temporary.cleanup()

    def open(self, name, **options):
        self.page = self.browser.open(self.file, **options)
        if "RAPT_SCREENSHOTS" in os.environ:
            self.page.screenshot(pathlib.Path(os.environ["RAPT_SCREENSHOTS"]) / f"{name}.png", whole=True)

    def tearDown(self):
        self.assertEqual(self.page.events("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"), [])
        self.assertIsNone(self.page.evaluate("window.hacked ?? null"))
        self.page.close()

    def test_on_a_desk_and_on_a_phone(self):
        for name, window in ("desk", DESK), ("phone", PHONE), ("dark", {**DESK, "dark": True}):
            with self.subTest(name):
                self.open(name, **window)
                self.assertTrue(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
                boxes = self.page.evaluate("[...document.querySelectorAll('svg .trial')].map((line) => {"
                                           "const box = line.getBoundingClientRect(); return [box.width, box.height]})")
                self.assertEqual(len(boxes), 40)
                self.assertTrue(all(width > 400 and height > 10 for width, height in boxes), boxes)
                bars = self.page.evaluate("[...document.querySelectorAll('.bars i')].map((bar) => bar.offsetWidth)")
                self.assertEqual(len(bars), 4)
                self.assertEqual(max(bars), bars[0])  # the learning rate, as the scores were made

    def test_a_row_and_its_line_light_up_together(self):
        self.open("lit", **DESK)
        self.page.hover("tbody tr[data-trial='4']")
        self.assertEqual(self.page.evaluate(LIT), ["TR4", "path4"])
        self.page.hover("h1")
        self.assertEqual(self.page.evaluate(LIT), [])

    def test_a_click_on_a_head_sorts(self):
        self.open("sorted", **DESK)
        scores = self.page.evaluate(COLUMN % 1)
        self.assertEqual(scores[-1], "")  # the failed one
        self.assertEqual([float(score) for score in scores[:-1]], sorted(float(score) for score in scores[:-1]))
        self.page.click("th:nth-child(1) button")
        self.assertEqual(self.page.evaluate(COLUMN % 0), [str(trial) for trial in range(40)])
        self.page.click("th:nth-child(1) button")
        self.assertEqual(self.page.evaluate(COLUMN % 0), [str(trial) for trial in reversed(range(40))])
        self.assertEqual(self.page.evaluate("document.querySelector('th').getAttribute('aria-sort')"), "descending")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    if find_browser() is None:
        print("skipped: no Chromium and no Chrome here")
        sys.exit(SKIPPED)
    unittest.main()
