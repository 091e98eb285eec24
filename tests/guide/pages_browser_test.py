#!/usr/bin/env python3
"""The built guide in a headless Chromium, from disk: pages fit their windows, nothing fails, the search finds words.

    python tests/guide/pages_browser_test.py build/site [unittest's arguments]

Exit code 77 where there is no site (examples/guide/build.sh builds it) or neither Chromium nor Chrome. With
RAPT_SCREENSHOTS=FOLDER the pages are written there as pictures.
"""

import os
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "visualization"))
from browser import Browser, find_browser  # noqa: E402

SITE = None
SKIPPED = 77
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844, "mobile": True}
REFERENCE = ["reference/index.html", "reference/nn/index.html", "reference/nn/attention.hpp.html",
             "reference/optim/Adam.html", "reference/core/Tensor.html", "reference/models/TransformerConfig.html",
             "reference/kernels/attention/AttentionProblem.html", "reference/generation/beam_search.hpp.html"]
FITS = "document.documentElement.scrollWidth <= innerWidth"


def pages():
    """All pages of prose, and some of the reference."""
    prose = [path.relative_to(SITE).as_posix() for path in sorted(SITE.rglob("*.html"))
             if "reference" not in path.relative_to(SITE).parts and path.name != "404.html"]
    return prose + REFERENCE


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser(find_browser())

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()

    def open(self, name, **options):
        page = self.browser.open(SITE / name, **options)
        self.addCleanup(page.close)
        return page

    def check_silent(self, page):
        """No exception, no message of an error, and nothing asked for that does not lie on the disk."""
        self.assertEqual(page.events("Runtime.exceptionThrown", "Network.loadingFailed"), [])
        for event in page.events("Log.entryAdded"):
            self.assertNotEqual(event["params"]["entry"]["level"], "error", event)
        for event in page.events("Network.requestWillBeSent"):
            self.assertRegex(event["params"]["request"]["url"], "^(file|data|blob|about):")

    def look(self, name, page, kind):
        if folder := os.environ.get("RAPT_SCREENSHOTS"):
            page.screenshot(pathlib.Path(folder) / f"{name.replace('/', '-')}-{kind}.png")

    def test_every_page_fits_and_is_silent(self):
        for name in pages():
            for kind, window in ("desk", DESK), ("phone", PHONE), ("dark", {**PHONE, "dark": True}):
                if kind == "dark" and name not in ("index.html", *REFERENCE[:4]):
                    continue
                with self.subTest(page=name, window=kind):
                    page = self.browser.open(SITE / name, **window)
                    self.assertTrue(page.evaluate(FITS), page.evaluate("document.documentElement.scrollWidth"))
                    self.assertGreater(page.evaluate("document.querySelector('article').innerText.length"), 20)
                    page.wait(f"document.body.dataset.mdColorScheme === '{'slate' if kind == 'dark' else 'default'}'")
                    self.look(name, page, kind)
                    self.check_silent(page)
                    page.evaluate("localStorage.clear()")  # where pages keep the colours that were chosen first
                    page.close()

    def test_the_search_finds_a_word_from_disk(self):
        for kind, window in ("desk", DESK), ("phone", PHONE):
            with self.subTest(window=kind):
                page = self.open("index.html", **window)
                page.evaluate("""(() => {
                  document.querySelector("[data-md-toggle=search]").click();
                  const input = document.querySelector("[data-md-component=search-query]");
                  input.focus();
                  input.value = "beam_search";
                  input.dispatchEvent(new KeyboardEvent("keyup", {bubbles: true}));
                  input.dispatchEvent(new Event("input", {bubbles: true}));
                })()""")
                page.wait("document.querySelector('.md-search-result__item a')")
                links = page.evaluate("[...document.querySelectorAll('.md-search-result__item a')].map((a) => a.href)")
                self.assertTrue(any("beam_search" in link for link in links), links)
                self.look("search", page, kind)
                self.check_silent(page)

    def test_a_programs_lines_are_shown(self):
        page = self.open("reference/optim/Adam.html", **DESK)
        self.assertIn("#include <rapt/rapt.hpp>", page.evaluate("document.querySelector('article').innerText"))
        self.assertIn("class Adam", page.evaluate("document.querySelector('article').innerText"))


if __name__ == "__main__":
    SITE = pathlib.Path(sys.argv.pop(1)).resolve()
    if not (SITE / "index.html").is_file():
        print(f"SKIPPED: there is no {SITE / 'index.html'} (sh examples/guide/build.sh builds it)")
        sys.exit(SKIPPED)
    if find_browser() is None:
        print("SKIPPED: there is neither Chromium nor Chrome")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
