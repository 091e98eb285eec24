#!/usr/bin/env python3
"""`translate train` as a long job: killed, interrupted, out of disk space, and resumed to the same bits.

    python tests/examples/translate_resume_test.py build/examples/translate [--kills 30] [unittest's arguments]
"""

import collections
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
import xml.etree.ElementTree

PROGRAM = None
KILLS = 8
TIMEOUT = 600  # seconds
STEPS = 60
OPTIONS = ("--source", "../source.txt", "--target", "../target.txt", "--model", "model", "--steps", STEPS, "--warmup", 10,
           "--vocabulary", 80, "--tokens", 120, "--checkpoint-every", 2, "--keep", 4, "--log-every", 1)
EVERYTHING = (*OPTIONS, "--hold-out", 8, "--validate-every", 5, "--average", 3, "--moving-average", 0.9,
              "--bpe-dropout", 0.1, "--plot", "curves.svg")


def replaced(options, *others):
    """Options with some of them, or others, in their place; each can be given once."""
    given = dict(zip(options[::2], options[1::2], strict=True)) | dict(zip(others[::2], others[1::2], strict=True))
    return tuple(part for option in given.items() for part in option)


def write(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def words(number):
    chosen = random.Random(number).choices("alpha beta gamma delta epsilon zeta eta theta".split(), k=1 + number % 5)
    return " ".join(chosen), "la la " + " ".join(word.upper() for word in chosen)


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def metadata(path):
    data = path.read_bytes()
    return json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]


def checkpoint_step(folder):
    """Of the whole checkpoint in a folder; 0: there is none."""
    path = folder / "checkpoint.safetensors"
    return json.loads(metadata(path)["trainer"])["steps"] if path.exists() else 0


def versions(folder):
    return sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.safetensors"))


def leftovers(folder):
    return list(folder.glob(".rapt-*.tmp"))


def log_lines(folder):
    """The objects of a log that may just be written to."""
    path = folder / "log.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def losses(folder):
    return [(line["step"], line["loss"]) for line in log_lines(folder) if "loss" in line]


def start(*arguments, folder, threads="2"):
    """The program in the background; what it says goes to the file stderr.txt."""
    with open(folder / "stderr.txt", "wb") as errors:
        return subprocess.Popen([PROGRAM, "train", *map(str, arguments)], cwd=folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=errors, restore_signals=False,  # SIGXFSZ is ignored
                                env={**os.environ, "RAPT_THREADS": threads},
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def said(folder):
    return (folder / "stderr.txt").read_text(encoding="utf-8")


def wait_until(process, condition):
    """False when the process ended before."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if process.poll() is not None:
            return False
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise TimeoutError("waited in vain")
        time.sleep(0.004)
    return True


def has_logged(folder, step):
    path = folder / "log.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return any(json.loads(line).get("step", 0) >= step for line in lines[-1:])


class Job(unittest.TestCase):
    """A folder with a corpus; each test runs in a folder of its own below it."""

    references = {}

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.temporary.name)
        cls.references = {}
        pairs = [words(number) for number in range(120)]
        write(cls.root / "source.txt", [source for source, _ in pairs])
        write(cls.root / "target.txt", [target for _, target in pairs])
        write(cls.root / "other.txt", [target.replace("la la", "la li") for _, target in pairs])

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.root))
        self.job = self.folder / "model.run"
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    def start(self, *arguments, **options):
        self.processes.append(start(*arguments, folder=options.pop("folder", self.folder), **options))
        return self.processes[-1]

    def train(self, *arguments, code=0, folder=None):
        process = self.start(*arguments, folder=folder or self.folder)
        self.assertEqual(process.wait(TIMEOUT), code, said(folder or self.folder))
        return said(folder or self.folder)

    def reference(self, options):
        """(model, losses, curves) of a run that nothing has happened to."""
        if options not in self.references:
            folder = pathlib.Path(tempfile.mkdtemp(dir=self.root))
            self.train(*options, folder=folder)
            curves = folder / "curves.svg"
            self.references[options] = ((folder / "model").read_bytes(), losses(folder / "model.run"),
                                        curves.read_bytes() if curves.exists() else None, said(folder))
            shutil.rmtree(folder)
        return self.references[options]

    def expect_reference(self, options, whole_log=True):
        model, losses_, curves, _ = self.reference(options)
        self.assertEqual((self.folder / "model").read_bytes(), model)
        if whole_log:
            self.assertEqual(losses(self.job), losses_)
            if curves:
                self.assertEqual((self.folder / "curves.svg").read_bytes(), curves)

    def refuse(self, *arguments, parts):
        """Exit code 1, a last line with all parts, and no file is another than before."""
        before = snapshot(self.folder)
        text = self.train(*arguments, code=1)
        last = text.splitlines()[-1]
        self.assertRegex(last, r"^translate: \[.+\] .+")
        for part in parts:
            self.assertIn(str(part), last)
        after = snapshot(self.folder)
        for files in before, after:
            files.pop("stderr.txt", None)
        self.assertEqual(after, before)
        return last


class Killed(Job):
    def kill_and_resume(self, options, kills, seed):
        random_ = random.Random(seed)
        _, losses_, _, text = self.reference(options)
        self.assertEqual([step for step, _ in losses_], list(range(1, STEPS + 1)))
        where = collections.Counter()
        # Kills are spread over the steps; each comes a little after the step, at any moment of the work to follow.
        targets = sorted(random_.randrange(STEPS) for _ in range(kills))
        resumed_from = 0
        for target in targets:
            resume = ("--resume",) if checkpoint_step(self.job) > 0 else ()
            process = self.start(*options, *resume, threads=random_.choice("12"))
            began = time.monotonic()
            if target > 0:
                wait_until(process, lambda: has_logged(self.job, max(target, resumed_from + 1)))
            time.sleep(random_.uniform(0, 0.3 if target == 0 else 0.15))
            process.kill()
            code = process.wait()
            self.assertIn(code, (0, -signal.SIGKILL), said(self.folder))
            step, names = checkpoint_step(self.job), versions(self.job)
            self.assertGreaterEqual(step, resumed_from)
            self.assertTrue(step == 0 or step in names, (step, names))
            if code == 0:
                where["after the end"] += 1
            elif leftovers(self.job):
                where["while a file was written"] += 1
            elif names and names[-1] > step:
                where["between a version and its checkpoint"] += 1
            elif step == 0:
                where["before the first checkpoint"] += 1
            elif step == STEPS:
                where["after the last checkpoint"] += 1
            else:
                where["in between checkpoints"] += 1
            resumed_from = step
        resume = ("--resume",) if checkpoint_step(self.job) > 0 else ()
        text = self.train(*options, *resume)
        if resume:
            self.assertIn(f"goes on after step {resumed_from}\n", text)
        print(f"\n{kills} kills: " + ", ".join(f"{count} {place}" for place, count in where.most_common()), flush=True)
        self.expect_reference(options)
        self.assertEqual(leftovers(self.job), [])
        self.assertEqual(versions(self.job)[-1], STEPS)
        self.assertEqual(len(versions(self.job)), 4)

    def test_with_everything_switched_on(self):
        self.kill_and_resume(EVERYTHING, KILLS, seed=1)

    def test_plain(self):
        self.kill_and_resume(OPTIONS, max(2, KILLS // 4), seed=2)

    # A kill before the first checkpoint leaves a version and a best model, which a run of another kind must not find.
    def test_what_a_run_without_checkpoint_left_is_not_mixed_in(self):
        self.job.mkdir()
        self.train(*replaced(OPTIONS, "--steps", 1, "--model", "other", "--checkpoint-every", 1, "--vocabulary", 60,
                             "--folder", "other.run"))
        shutil.copy(self.folder / "other.run/step-000000001.safetensors", self.job / "step-000000003.safetensors")
        shutil.copy(self.folder / "other", self.job / "best.safetensors")
        (self.job / "notes.txt").write_text("mine")
        (self.job / "step-3.safetensors").write_text("not of this program")
        options = replaced(EVERYTHING, "--steps", 10, "--checkpoint-every", 5)
        self.assertIn("mean of the last 2 versions", self.train(*options))
        self.assertFalse((self.job / "step-000000003.safetensors").exists())
        self.expect_reference(options)
        self.assertEqual((self.job / "notes.txt").read_text(), "mine")
        self.assertEqual((self.job / "step-3.safetensors").read_text(), "not of this program")


class Interrupted(Job):
    def interrupt(self, number, options=EVERYTHING, step=7):
        process = self.start(*options)
        self.assertTrue(wait_until(process, lambda: has_logged(self.job, step)))
        process.send_signal(number)
        self.assertEqual(process.wait(TIMEOUT), 130, said(self.folder))
        return said(self.folder)

    def test_signals_finish_the_step_and_save(self):
        for number in signal.SIGINT, signal.SIGTERM:
            with self.subTest(number):
                text = self.interrupt(number)
                stopped = int(re.search(r"stopped after step (\d+): the same run with --resume goes on\n$",
                                        text)[1])
                self.assertGreaterEqual(stopped, 7)
                self.assertEqual(checkpoint_step(self.job), stopped)
                self.assertEqual(losses(self.job)[-1][0], stopped)
                self.assertFalse((self.folder / "model").exists())
                self.assertIn(f"goes on after step {stopped}\n", self.train(*EVERYTHING, "--resume"))
                self.expect_reference(EVERYTHING)
                shutil.rmtree(self.job)
                (self.folder / "model").unlink()

    def test_the_second_one_ends_at_once(self):
        options = (*OPTIONS, "--accumulate", 200)  # a step of seconds
        process = self.start(*options)
        self.assertTrue(wait_until(process, lambda: "options" in str(log_lines(self.job))))
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        self.assertIsNone(process.poll(), "the first one lets the step finish")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(TIMEOUT), -signal.SIGINT)
        self.assertEqual(losses(self.job), [])
        self.assertEqual(checkpoint_step(self.job), 0)

    def test_without_checkpoints_nothing_is_kept(self):
        process = self.start(*replaced(OPTIONS, "--checkpoint-every", 0))
        self.assertTrue(wait_until(process, lambda: "step 1" in said(self.folder)))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(TIMEOUT), 130)
        self.assertRegex(said(self.folder), r"stopped after step \d+: nothing is kept\n$")
        self.assertFalse(self.job.exists())
        self.assertFalse((self.folder / "model").exists())


class FullDisk(Job):
    SMALL = 10_000_000  # bytes: more than a model, less than a checkpoint

    def run_out_of_space(self, fill, free, reason, options=EVERYTHING, job=None):
        """Runs to step 8, fills the disk until a checkpoint has failed, and makes room again."""
        job = job or self.job
        process = self.start(*options)
        self.assertTrue(wait_until(process, lambda: has_logged(job, 8)))

        def refuses():
            fill(process)
            return "cannot keep" in said(self.folder)

        self.assertTrue(wait_until(process, refuses))
        kept = checkpoint_step(job)
        process.send_signal(signal.SIGSTOP)
        copy = self.folder / "copy"
        shutil.copytree(job, copy)
        process.send_signal(signal.SIGCONT)
        failed = re.search(r"cannot keep what is learned: \[\S+\] (\S+): ([^;]*); what was written before stays",
                           said(self.folder))
        self.assertIn(reason, failed[2])
        self.assertEqual(pathlib.Path(failed[1]).parent.name, job.name)
        self.assertTrue(wait_until(process, lambda: has_logged(job, losses(copy)[-1][0] + 6)))
        free(process)
        # A checkpoint succeeds again.
        self.assertTrue(wait_until(process, lambda: checkpoint_step(job) > kept) or checkpoint_step(job) > kept)
        self.assertEqual(process.wait(TIMEOUT), 0, said(self.folder))
        self.assertEqual(checkpoint_step(job), STEPS)
        self.assertEqual(versions(job)[-1], STEPS)
        self.assertEqual(len(versions(job)), 4)
        self.assertEqual(leftovers(job), [])
        # The one of before is whole.
        (self.folder / "model").unlink()
        self.assertGreaterEqual(checkpoint_step(copy), 6)
        self.assertIn(checkpoint_step(copy), versions(copy))
        return copy

    def test_files_that_cannot_grow(self):
        def limit(bytes_):
            return lambda process: resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (bytes_, resource.RLIM_INFINITY))

        copy = self.run_out_of_space(limit(self.SMALL), limit(resource.RLIM_INFINITY), "File too large")
        self.assertEqual(said(self.folder).count("cannot write"), said(self.folder).count("cannot keep"))  # not the log
        shutil.rmtree(self.job)
        copy.rename(self.job)
        self.assertIn("goes on after step", self.train(*EVERYTHING, "--resume"))
        self.expect_reference(EVERYTHING)

    def test_a_disk_that_is_full(self):
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", disk], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no tmpfs can be mounted here: " + mounted.stderr.decode().strip())
        try:
            options = (*EVERYTHING, "--folder", "disk/job.run")

            def fill(_):
                try:
                    with open(disk / "ballast", "ab", buffering=0) as ballast:
                        while True:
                            ballast.write(bytes(100_000))
                except OSError:
                    pass

            copy = self.run_out_of_space(fill, lambda _: (disk / "ballast").unlink(), "No space left on device", options,
                                         job=disk / "job.run")
            shutil.rmtree(disk / "job.run")
            shutil.copytree(copy, disk / "job.run")
            self.train(*options, "--resume")
            self.expect_reference(EVERYTHING, whole_log=False)
            self.assertEqual(losses(disk / "job.run")[-1], self.reference(EVERYTHING)[1][-1])
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_the_last_checkpoint_is_named_when_the_one_at_the_end_fails(self):
        process = self.start(*OPTIONS)
        self.assertTrue(wait_until(process, lambda: has_logged(self.job, 8)))
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (self.SMALL, resource.RLIM_INFINITY))
        self.assertTrue(wait_until(process, lambda: "cannot keep" in said(self.folder)))
        kept = checkpoint_step(self.job)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(TIMEOUT), 130)
        self.assertRegex(said(self.folder),
                         rf"stopped after step \d+: the same run with --resume goes on after step {kept}\n$")
        self.train(*OPTIONS, "--resume")
        self.expect_reference(OPTIONS)

    def test_the_model_itself_cannot_be_written(self):
        (self.folder / "model").write_text("the old one")
        process = self.start(*OPTIONS)
        self.assertTrue(wait_until(process, lambda: has_logged(self.job, STEPS // 2)))
        # Less than the whole log, more than what the program says.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
        self.assertEqual(process.wait(TIMEOUT), 1, said(self.folder))
        self.assertEqual(said(self.folder).count("cannot write model.run/log.jsonl"), 1)  # not for each line
        self.assertRegex(said(self.folder).splitlines()[-1], r"^translate: \[atomic_file\] model: .*File too large")
        self.assertEqual((self.folder / "model").read_text(), "the old one")
        self.assertEqual(leftovers(self.folder), [])
        self.train(*OPTIONS, "--resume")
        self.expect_reference(OPTIONS)

    # Whether or not the best model could be written when it was found: the checkpoint comes with the one it names.
    def test_the_best_model_is_written_later(self):
        options = replaced(OPTIONS, "--validation-source", "../source.txt", "--validation-target", "../target.txt",
                           "--validate-every", 3, "--checkpoint-every", 4)
        process = self.start(*options)
        self.assertTrue(wait_until(process, lambda: "options" in str(log_lines(self.job))))
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        if not wait_until(process, lambda: "best.safetensors: cannot write" in said(self.folder)):
            self.fail(said(self.folder))
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.assertTrue(wait_until(process, lambda: checkpoint_step(self.job) > 0))
        process.kill()
        process.wait()
        self.assertTrue((self.job / "best.safetensors").exists())
        self.train(*options, "--resume")
        self.expect_reference(options)


class Refused(Job):
    def setUp(self):
        super().setUp()
        self.options = replaced(OPTIONS, "--steps", 4, "--hold-out", 5)
        self.train(*self.options)
        self.step = checkpoint_step(self.job)
        self.assertEqual(self.step, 4)

    def changed(self, name, value):
        return (*replaced(self.options, name, value), "--resume")

    def test_other_options(self):
        at = "the run was started with another "
        self.refuse(*self.changed("--tokens", 130), parts=[at + "--tokens", '["120"]', '["130"]', "checkpoint"])
        self.refuse(*self.changed("--vocabulary", 81), parts=[at + "--vocabulary", '["80"]', '["81"]'])
        self.refuse(*self.options, "--resume", "--moving-average", 0.9,
                    parts=[at + "--moving-average", "then not given", 'now ["0.9"]'])
        self.refuse(*self.options, "--resume", "--norm", "pre", parts=[at + "--norm", '["pre"]'])

    def test_other_corpora(self):
        self.refuse(*self.changed("--target", "../other.txt"), parts=["another corpus", "it had 105 pairs, ", "this one has 105 pairs, "])
        # The sentences that were held out stay what they were.
        self.refuse(*self.changed("--hold-out", 6), parts=["another corpus", "validation: 5 pairs", "validation: 6 pairs"])
        self.refuse(*self.options, "--seed", 9, "--resume", parts=["another corpus"])
        self.refuse(*self.options, "--resume", "--validation-source", "../source.txt", "--validation-target",
                    "../target.txt", parts=["another corpus", "validation: 5 pairs", "validation: 120 pairs"])
        # The same sentences by another name are the same corpus.
        shutil.copy(self.root / "target.txt", self.folder / "renamed.txt")
        self.train(*self.changed("--target", "renamed.txt"))

    def test_without_resume(self):
        self.refuse(*self.options, parts=["model.run/checkpoint.safetensors", "--resume", "--restart"])
        self.refuse(*self.options, "--seed", 9, parts=["--resume", "--restart"])  # nor are other sentences held out
        both = self.start(*self.options, "--resume", "--restart")
        self.assertGreater(both.wait(TIMEOUT), 100)

    def test_restart_begins_anew(self):
        options = (*self.options, "--seed", 9, "--restart")
        text = self.train(*options)
        self.assertNotIn("goes on", text)
        self.assertEqual([step for step, _ in losses(self.job)], [1, 2, 3, 4])
        model = (self.folder / "model").read_bytes()
        shutil.rmtree(self.job)
        self.train(*options)
        self.assertEqual((self.folder / "model").read_bytes(), model)
        self.assertEqual(json.loads(metadata(self.job / "checkpoint.safetensors")["options"])["--seed"], ["9"])

    def test_no_checkpoint(self):
        (self.job / "checkpoint.safetensors").unlink()
        self.refuse(*self.options, "--resume", parts=["nothing to resume", "model.run/checkpoint.safetensors"])
        shutil.rmtree(self.job)
        self.refuse(*self.options, "--resume", parts=["nothing to resume", "model.run"])
        self.assertFalse(self.job.exists())

    def test_a_checkpoint_that_is_none(self):
        path = self.job / "checkpoint.safetensors"
        whole = path.read_bytes()
        header = struct.unpack("<Q", whole[:8])[0]
        for broken in (b"", whole[:7], whole[:500], whole[:len(whole) // 2], whole[:-1], whole + b"x",
                       b"\xff" * 8 + whole[8:], whole[:8] + b"x" + whole[9:], b"text\n" * 1000):
            with self.subTest(len(broken)):
                path.write_bytes(broken)
                self.refuse(*self.options, "--resume", parts=[path.relative_to(self.folder)])
        for key in b'"trainer"', b'"options"', b'"corpus"', b'"subwords"':
            with self.subTest(key):
                at = whole.index(key)
                self.assertLess(at, header)
                path.write_bytes(whole[:at + 1] + b"X" + whole[at + 2:])
                self.refuse(*self.options, "--resume", parts=[path.relative_to(self.folder), key[2:-1].decode()])
        for model in self.folder / "model", self.job / "best.safetensors":
            if model.exists():
                shutil.copy(model, path)
                self.refuse(*self.options, "--resume", parts=[path.relative_to(self.folder), "no checkpoint"])
        path.unlink()
        path.mkdir()
        self.refuse(*self.options, "--resume", parts=[path.relative_to(self.folder)])
        path.rmdir()
        path.write_bytes(whole)
        self.train(*self.options, "--resume")

    def test_a_damaged_version_does_not_cost_the_model(self):
        options = replaced(OPTIONS, "--steps", 6, "--average", 3)
        self.train(*options, "--restart")
        plain = self.train(*replaced(OPTIONS, "--steps", 6), "--resume")  # the last step's model
        self.assertIn("kept: step 6", plain)
        model = (self.folder / "model").read_bytes()
        version = self.job / "step-000000004.safetensors"
        version.write_bytes(version.read_bytes()[:-5])
        text = self.train(*options, "--resume")
        self.assertIn("no mean of the last versions: ", text)
        self.assertIn("step-000000004.safetensors", text)
        self.assertEqual((self.folder / "model").read_bytes(), model)

    def test_a_prolonged_run_is_the_longer_run(self):
        self.train(*self.changed("--steps", 8))
        model = (self.folder / "model").read_bytes()
        self.train(*self.changed("--steps", 8)[:-1], "--restart")
        self.assertEqual((self.folder / "model").read_bytes(), model)


class NotFinite(Job):
    def test_the_checkpoint_of_before_stays(self):
        options = replaced(OPTIONS, "--checkpoint-every", 1, "--learning-rate", 1e30)
        process = self.start(*options)
        self.assertEqual(process.wait(TIMEOUT), 1)
        last = said(self.folder).splitlines()[-1]
        found = re.match(r"translate: \[trainer\] the (?:loss|gradients) .* at step (\d+): the learning rate may be too "
                         r"high \(\S+\)\. NaN or infinity came up first: (.*)$", last)
        self.assertIsNotNone(found, last)
        self.assertRegex(found[2], r"'\w+' has -?(inf|nan) at row \d+|in the parameter '")
        self.assertEqual(checkpoint_step(self.job), int(found[1]) - 1)
        self.assertEqual(versions(self.job)[-1], int(found[1]) - 1)
        self.assertFalse((self.folder / "model").exists())
        # It meets the same again.
        self.assertEqual(self.train(*options, "--resume", code=1).splitlines()[-1], last)

    def test_under_checks_the_op_says_so_and_names_a_parameter(self):
        with unittest.mock.patch.dict(os.environ, {"RAPT_CHECK": "1"}):
            process = self.start(*replaced(OPTIONS, "--learning-rate", 1e30))
        self.assertEqual(process.wait(TIMEOUT), 1)
        self.assertRegex(said(self.folder).splitlines()[-1],
                         r"^translate: \[finite_check\] (the value of|a gradient from the op) '\w+' has -?(inf|nan) at "
                         r"row \d+, column \d+ of shape \[.*\].* (embedding|encoder|decoder)\.")


class Validation(Job):
    def test_patience_by_bleu_and_curves(self):
        # Nothing is learned at this rate, so that no validation is better than the first.
        text = self.train(*OPTIONS, "--hold-out", 8, "--validate-by", "bleu", "--validate-every", 3, "--patience", 2,
                          "--learning-rate", 1e-9, "--plot", "curves.svg")
        self.assertRegex(text, r"step 3  validation loss .* BLEU \d+\.\d\d\n")
        self.assertIn("9 steps in ", text)
        scores = [line["validation_bleu"] for line in log_lines(self.job) if "validation_bleu" in line]
        self.assertGreaterEqual(len(scores), 3)
        root = xml.etree.ElementTree.parse(self.folder / "curves.svg").getroot()
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        text = "".join(root.itertext())
        for word in "Loss", "Learning rate", "BLEU", "step":
            self.assertIn(word, text)

    def test_a_plot_without_a_log(self):
        self.train(*replaced(OPTIONS, "--steps", 3, "--log-every", 0, "--plot", "a.svg"))
        xml.etree.ElementTree.parse(self.folder / "a.svg")
        self.train(*replaced(OPTIONS, "--steps", 3, "--checkpoint-every", 0, "--plot", "b.svg"))
        self.assertIn("Learning rate", (self.folder / "b.svg").read_text("utf-8"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    KILLS = int(os.environ.get("RAPT_KILLS", KILLS))
    if "--kills" in sys.argv:
        at = sys.argv.index("--kills")
        KILLS = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main()
