#!/usr/bin/env python3
"""examples/chat.cpp: answers, the file that another run goes on with, policies, the small model, the measurement.

    python tests/examples/chat_test.py build/examples/chat [unittest's arguments]
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from tasks_test import write_folder

PROGRAM = None
TIMEOUT = 300  # seconds
TEMPLATE = "{% for m in messages %}{{ m.role[0] }}:{{ m.content | trim }};{% endfor %}"
GPT = ["--model", "gpt", "--template", "template"]
KEPT = re.compile(r"(\d+) tokens before, (\d+) of them kept, (\d+) tokens of the answer(?:, (\d+) turns dropped)?")


class ChatTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)
        (self.root / "gpt").mkdir()
        write_folder("gpt", self.root / "gpt")
        (self.root / "template").write_text(TEMPLATE)

    def run_chat(self, *arguments, lines=(), code=0, threads=1):  # of so little work two threads would take longer
        run = subprocess.run([PROGRAM, *arguments], timeout=TIMEOUT, capture_output=True, cwd=self.root,
                             input="".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"),
                             env={**os.environ, "RAPT_PRECISION": "highest", "RAPT_THREADS": str(threads)})
        self.assertEqual(run.returncode, code, run.stderr.decode())
        return run

    def talk(self, *arguments, lines):
        """The answers, and of each the numbers of tokens before it, of those kept, of its own and of dropped turns."""
        run = self.run_chat(*GPT, "--tokens", "4", "--temperature", "0", *arguments, lines=lines)
        counts = [tuple(int(number or 0) for number in found) for found in KEPT.findall(run.stderr.decode())]
        return run.stdout, counts

    def test_another_run_goes_on(self):
        lines = ["a", "b", "a"]
        said, counts = self.talk("--system", "x", lines=lines)
        self.assertEqual(len(counts), 3)
        self.assertEqual(counts[0][1], 0)
        self.assertTrue(all(kept > 0 for _, kept, _, _ in counts[1:]), counts)
        first, counts_before = self.talk("--system", "x", "--save", "talk", lines=lines[:2])
        rest, counts_after = self.talk("--continue", "talk", "--save", "talk", lines=lines[2:])
        self.assertEqual(first + rest, said)
        self.assertEqual(counts_before + counts_after, counts)
        self.assertEqual(self.talk("--continue", "talk", lines=[]), (b"", []))

    def test_positions_that_are_full(self):
        lines = ["the house"] * 20
        _, counts = self.talk(lines=lines)
        self.assertEqual(len(counts), 20)
        self.assertGreater(sum(dropped for *_, dropped in counts), 0)
        run = self.run_chat(*GPT, "--policy", "refuse", "--save", "talk", lines=lines, code=1)
        self.assertIn("do not fit in the model's", run.stderr.decode())
        self.assertTrue((self.root / "talk").exists())  # what was said until then
        run = self.run_chat(*GPT, "--policy", "slide", code=1)
        self.assertIn("slide needs a model all of whose layers see a window", run.stderr.decode())

    def test_what_cannot_be_used_is_named(self):
        run = self.run_chat("--model", "gpt", code=1)
        self.assertIn("the folder has no chat template", run.stderr.decode())
        (self.root / "template").write_text("\n{% include 'x' %}")
        run = self.run_chat(*GPT, code=1)
        self.assertIn("chat: [jinja] template:2: the statement {% include %} is not supported", run.stderr.decode())
        (self.root / "template").write_text("{{ raise_exception('not so') }}")
        run = self.run_chat(*GPT, lines=["a"], code=1)
        self.assertIn("not so", run.stderr.decode())
        (self.root / "talk").write_bytes(b"no dialogue")
        run = self.run_chat("--steps", "1", "--continue", "talk", code=1)
        self.assertIn("talk", run.stderr.decode())

    def test_options_that_cannot_work_are_refused_before_anything_is_learned(self):
        for flags, said in (("--shape gpt2", "requires --measure"), ("--continue talk --system x", "excludes"),
                            ("--measure 1 --model gpt --save talk", "excludes"),
                            ("--steps 1 --model gpt", "excludes"), ("--shape gpt2 --measure 1 --steps 2", "excludes"),
                            ("--shape gpt2 --measure 1 --temperature 0", "excludes"),
                            ("--steps 1 --system x", "--system needs a --model"),
                            ("--tokens 9", "--tokens above 8 need a --model"),
                            ("--measure 1", "--measure needs a --model or a --shape"),
                            ("--policy slide", "--policy slide needs a --model"),
                            ("--save missing/talk", "missing/talk"), ("--save gpt", "is not a regular file")):
            with self.subTest(flags):
                run = subprocess.run([PROGRAM, *flags.split()], timeout=TIMEOUT, capture_output=True, cwd=self.root,
                                     stdin=subprocess.DEVNULL)
                self.assertNotEqual(run.returncode, 0)
                self.assertEqual(run.stdout, b"")
                self.assertIn(said, run.stderr.decode())
                self.assertNotIn("loss", run.stderr.decode())
        self.assertEqual([path.name for path in self.root.glob(".rapt-*")], [])

    def test_an_error_that_keeps_the_dialogue_from_being_saved_names_both(self):
        (self.root / "template").write_text(
            "{% if messages | length > 1 %}{{ raise_exception('not so') }}{% endif %}" + TEMPLATE)
        (self.root / "folder").mkdir()
        with subprocess.Popen([PROGRAM, *GPT, "--tokens", "2", "--save", "folder/talk"], cwd=self.root, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            process.stdin.write("a\n")
            process.stdin.flush()
            self.assertIn("tokens before", process.stderr.readline())
            (self.root / "folder").rmdir()
            _, errors = process.communicate("a\n", timeout=TIMEOUT)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(errors, "not so; and it could not be saved: .*folder/talk")

    def test_the_small_model(self):
        run = self.run_chat("--steps", "2", "--tokens", "3", "--save", "talk", lines=["What is my name?"])
        self.assertEqual(len(re.findall("^> ", run.stdout.decode(), re.MULTILINE)), 6)
        run = self.run_chat("--steps", "2", "--tokens", "3", "--continue", "talk", lines=["How are you?"])
        self.assertNotIn("unseen dialogues", run.stdout.decode())  # answers alone
        run = self.run_chat("--steps", "3", "--continue", "talk", code=1)
        self.assertIn("is a dialogue with another model of these settings", run.stderr.decode())

    def test_the_small_model_remembers_what_it_is_told(self):
        # Each instruction set and compiler trains another model, of which any may give a wrong answer now and then:
        # of facts most must be right, and all that needs no memory. Of 200 dialogues 33 are right after 100 steps.
        demonstration = [("My name is Clara.", "I see."), ("How are you?", "I am fine."),
                         ("My pet is a horse.", "I see."), ("What is my town?", "Your town is unknown to me."),
                         ("What is my name?", "Your name is Clara."), ("What is my pet?", "Your pet is a horse.")]
        typed = [("my name is  greta", "I see."), ("What is my name?", "Your name is Greta."),
                 ("My pet is a hamster.", None), ("What is my pet?", "Your pet is unknown to me."),
                 ("My name is Ben.", "I see."), ("My town is Oslo.", "I see."),
                 ("what is my name", "Your name is Ben."), ("What is my town?", "Your town is Oslo."),
                 ("What is my colour?", "Your colour is unknown to me.")]
        run = self.run_chat("--steps", "400", lines=[line for line, _ in typed])
        share, *said = run.stdout.decode().splitlines()
        found = re.fullmatch(r"(\d+) of 200 unseen dialogues answered correctly", share)
        self.assertGreaterEqual(int(found[1]), 150)
        self.assertEqual(said[:12:2], [f"> {line}" for line, _ in demonstration])
        answers = said[1:12:2] + said[12:]
        wanted = [answer for _, answer in demonstration + typed if answer]
        self.assertEqual(len(answers), len(wanted), said)
        pairs = list(zip(answers, wanted))
        for answer, right in pairs:
            if right.startswith("I "):
                self.assertEqual(answer, right, said)
        facts = [answer == right for answer, right in pairs if right.startswith("Your ")]
        self.assertEqual(len(facts), 8)
        self.assertGreaterEqual(sum(facts), 6, said)
        self.assertIn("The small model does not know what this means: My pet is a hamster.\n", run.stderr.decode())

    def test_the_small_model_is_the_same_on_any_number_of_threads(self):
        flags = ["--steps", "3", "--tokens", "3"]
        self.run_chat(*flags, "--save", "talk", lines=["What is my name?"], threads=1)
        self.run_chat(*flags, "--continue", "talk", lines=["What is my pet?"], threads=3)  # or it were another model

    def test_measurement(self):
        said = self.run_chat(*GPT, "--tokens", "3", "--measure", "12").stdout.decode()
        rows = [line.split() for line in said.splitlines()[1:]]
        turns, before, kept, dropped = zip(*([int(number) for number in row[:4]] for row in rows))
        self.assertEqual(turns, tuple(range(1, 13)))
        self.assertEqual((kept[0], dropped[0]), (0, 0))
        for turn in range(1, 12):
            self.assertLess(kept[turn], before[turn], rows)
            self.assertTrue(kept[turn] > 0 or dropped[turn] > 0, rows)
        self.assertGreater(sum(dropped), 0)
        times = [[float(number) for number in row if "." in number] for row in rows]  # so small a model may take 0.0 ms
        self.assertTrue(all(len(row) == 6 and min(row) >= 0 for row in times), times)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
