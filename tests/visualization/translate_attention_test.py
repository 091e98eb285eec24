#!/usr/bin/env python3
"""`translate run --attention`: the page that it writes beside the translations, and what it refuses.

    python tests/visualization/translate_attention_test.py build/examples/translate [unittest's arguments]
"""

import json
import os
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "examples"))
import translate_cli_test as cli  # noqa: E402

PAGE = "page.html"
LINES = ["", "   ", "alpha beta gamma", "epsilon", ""]


def data_of(page):
    """What the page's script reads."""
    return json.loads(page.split('<script type="application/json" id="data">')[1].split("</script>")[0])


class Attention(cli.Cli):
    def run_model(self, *arguments, lines=LINES, **options):
        return cli.translate("run", "--model", "model", *arguments, folder=self.folder, stdin="\n".join(lines) + "\n",
                             **options)

    def page(self):
        return (self.folder / PAGE).read_text(encoding="utf-8")

    def test_draws_the_first_line_and_leaves_the_output_alone(self):
        for arguments in (), ("--beam", 1), ("--length-penalty", 2):
            plain = self.run_model(*arguments)
            self.assertEqual(plain.returncode, 0, plain.stderr)
            result = self.run_model(*arguments, "--attention", PAGE)
            self.assertEqual((result.returncode, result.stderr), (0, b""))
            self.assertEqual(result.stdout, plain.stdout)
            page = self.page()
            translation = result.stdout.decode().split("\n")[2]
            self.assertIn("<title>Attention of model</title>", page)
            self.assertIn(">alpha beta gamma</p>", page)
            self.assertIn(f">{translation}</p>", page)
            self.assertNotIn("epsilon", page)

            encoder, decoder, cross = data_of(page)["sections"]
            self.assertEqual(encoder["queries"], encoder["keys"])
            self.assertEqual(decoder["queries"], decoder["keys"])
            self.assertEqual(cross["keys"], encoder["keys"])
            self.assertEqual(decoder["queries"][0], "<s>")
            self.assertEqual(decoder["queries"][1:], cross["queries"][:-1])
            self.assertEqual(encoder["keys"][-1], "</s>")

            def joined(tokens):  # a word may begin with its mark alone
                return "".join(token[1:] if token.startswith("·") else " " + token.strip("▁") for token in tokens
                               if token not in ("<s>", "</s>")).strip()

            self.assertEqual(joined(encoder["keys"]), "alpha beta gamma")
            self.assertEqual(joined(cross["queries"]), translation)
            for section in encoder, decoder, cross:
                keys = len(section["keys"])
                self.assertEqual([len(heads) for heads in section["layers"]], [4] * 4)  # the preset tiny
                for head in sum(section["layers"], []):
                    self.assertEqual(len(head), len(section["queries"]) * keys)
                    for row in range(len(section["queries"])):
                        self.assertAlmostEqual(sum(head[row * keys:(row + 1) * keys]) / 10000, 1, delta=1.1e-4)

    def test_the_same_page_at_any_number_of_threads(self):
        pages = []
        for threads in "1", "2":
            self.assertEqual(self.run_model("--attention", PAGE, RAPT_THREADS=threads).returncode, 0)
            pages.append(self.page())
        self.assertEqual(*pages)

    def test_words_that_are_not_known(self):
        result = self.run_model("--attention", PAGE, lines=["<b>&\u0436\u0436 alpha"])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("&lt;b&gt;&amp;\u0436\u0436 alpha</p>", self.page())
        self.assertNotIn("<b>", self.page())
        self.assertIn("<unk>", data_of(self.page())["sections"][0]["keys"])

    def test_places(self):
        for place, parts in (("absent/page", ["absent/page"]), ("source.txt/page", ["Not a directory"]),
                             ("directory", ["directory"]), ("/dev/null", ["/dev/null"])):
            with self.subTest(place):
                self.expect_refused(self.run_model("--attention", place), *parts)

    def test_a_full_disk_leaves_the_old_page(self):
        old = self.folder / PAGE
        old.write_text("old")
        result = self.run_model("--attention", PAGE, file_limit=20_000)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertIn(b"File too large", result.stderr)
        self.assertEqual(old.read_text(), "old")
        self.assertEqual(set(cli.snapshot(self.folder)) - set(self.before), {PAGE})

    def test_no_line(self):
        for lines in [], ["", "  "]:
            result = self.run_model("--attention", PAGE, lines=lines)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr.decode(), r"^translate: \[run\] .*no line.*page\.html\n$")
            self.assertFalse((self.folder / PAGE).exists())

    def test_help(self):
        result = cli.translate("run", "--help", folder=self.folder)
        self.assertIn(b"--attention", result.stdout)
        self.assertIn("first line that is not blank", " ".join(result.stdout.decode().split()))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cli.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
