#!/usr/bin/env python3
"""Opens the ONNX graphs that rapt exports in onnx.checker, ONNX Runtime and OpenVINO and compares what they compute with rapt.

    python3 check_onnx.py [--runs FOLDER] [--only NAME]

needs onnx, onnxruntime, openvino, safetensors and numpy. Without --runs it compiles and runs export_models.cpp; FOLDER is
what that program has written. With --only it checks the models whose names contain NAME. Every graph is run in one batch, padded behind, and again for each text alone; decoders also
token by token from their own keys and values, padded before the texts where they have no encoder, in greedy and in beam
search, whose tokens must be rapt's. Prints one line for each model and fails if a difference exceeds 1e-4 of the largest
number or a token differs.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import openvino
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).resolve().parent
TOLERANCE = 1e-4
PADDING = 9  # any token: what stands behind a text must not matter


class OrtGraph:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = {i.name: i.shape for i in self.session.get_inputs()}
        self.outputs = [o.name for o in self.session.get_outputs()]

    def __call__(self, **inputs):
        return dict(zip(self.outputs, self.session.run(None, {name: inputs[name] for name in self.inputs})))


class OpenVinoGraph:
    core = openvino.Core()

    def __init__(self, path):
        model = self.core.read_model(path)
        hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        self.model = self.core.compile_model(model, "CPU", hints)
        self.inputs, self.outputs = {}, []  # as ONNX Runtime knows them

    def __call__(self, **inputs):
        result = self.model({name: inputs[name] for name in self.inputs})
        return {name: np.array(result[name]) for name in self.outputs}


def split(values, splits):
    return [values[b:e] for b, e in zip(splits[:-1], splits[1:])]


def padded(rows, before=False, fill=PADDING):
    """The rows as one matrix, and its attention mask."""
    width = max(len(r) for r in rows)
    ids, mask = np.full((len(rows), width), fill, np.int64), np.zeros((len(rows), width), np.int64)
    for i, r in enumerate(rows):
        place = slice(width - len(r), width) if before else slice(0, len(r))
        ids[i, place], mask[i, place] = r, 1
    return ids, mask


class Differences:
    """The largest difference over the largest number, of everything that was compared."""

    def __init__(self):
        self.largest = 0.0

    def compare(self, actual, expected, what):
        actual, expected = np.asarray(actual, np.float64).ravel(), np.asarray(expected, np.float64).ravel()
        assert actual.size == expected.size, f"{what}: {actual.size} numbers, expected {expected.size}"
        assert np.isfinite(actual).all(), f"{what}: not finite"
        error = float(np.max(np.abs(actual - expected)) / max(1e-30, np.max(np.abs(expected))))
        assert error <= TOLERANCE, f"{what}: relative difference {error:.1e}"
        self.largest = max(self.largest, error)


def compare_rows(result, expected, lengths, differences, what):
    """Results [B, L, ..] of a padded batch with rapt's rows laid end to end, or with one row for each text."""
    if result.ndim >= 2 and expected.shape[0] == sum(lengths) and result.shape[0] == len(lengths) != sum(lengths):
        result = np.concatenate([result[i, :n] for i, n in enumerate(lengths)])
    differences.compare(result, expected, what)


def check_encoder(graph, run, differences):
    expected = {k[len("output/") :]: v for k, v in run.items() if k.startswith("output/")}
    if "pixel_values" in graph.inputs:
        inputs = {"pixel_values": run["input/pixel_values"]}
        if "bool_masked_pos" in graph.inputs:
            inputs["bool_masked_pos"] = run["input/bool_masked_pos"].reshape(2, -1) != 0
        if "noise" in graph.inputs:  # masked autoencoders
            inputs["noise"] = run["input/noise"]
            expected["ids_restore"] = np.argsort(np.argsort(inputs["noise"], axis=1), axis=1)
        if "input_ids" in graph.inputs:  # CLIP
            texts = split(run["input/input_ids"], run["input/input_ids.splits"])
            inputs["input_ids"], inputs["attention_mask"] = padded(texts)
        results = graph(**inputs)
        for name, value in expected.items():
            differences.compare(results[name], value, name)
            one = graph(**{k: v if k in ("input_ids", "attention_mask") else v[1:] for k, v in inputs.items()})
            differences.compare(one[name][-1], results[name][-1], f"{name} of one image")
        return
    splits = run["input/input_ids.splits"]
    texts = split(run["input/input_ids"], splits)
    lengths = [len(t) for t in texts]
    ids, mask = padded(texts)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in graph.inputs:
        inputs["token_type_ids"] = padded(split(run["input/token_type_ids"], splits), fill=0)[0]
    results = graph(**inputs)
    assert set(results) == set(expected), f"{set(results)} are not {set(expected)}"
    for name, value in expected.items():
        compare_rows(results[name], value, lengths, differences, name)
        for i, n in enumerate(lengths):
            alone = graph(**{k: v[i : i + 1, :n] for k, v in inputs.items()})[name]
            together = results[name][i : i + 1, :n] if results[name].shape[1] == max(lengths) else results[name][i : i + 1]
            if alone.shape == together.shape:
                differences.compare(alone, together, f"{name} of text {i} alone")


class Causal:
    """A decoder without an encoder: texts are padded before, and so is what was read."""

    def __init__(self, graph, texts):
        self.graph, self.layers = graph, sum(n.endswith(".key") for n in graph.inputs)
        self.next = np.array([t[-1] for t in texts])
        ids, mask = padded(texts, before=True)
        self.past = self.empty(len(texts))
        width = ids.shape[1] - 1  # the last column has the last token of every text
        self.mask = mask[:, :width]
        if width > 0:
            self.feed(ids[:, :width])

    def empty(self, rows):
        past = {}
        for name, shape in self.graph.inputs.items():
            if name.startswith("past_key_values"):
                past[name] = np.zeros((rows, shape[1], 0, shape[3]), np.float32)
        return past

    def feed(self, ids):
        results = self.graph(input_ids=ids, attention_mask=self.mask, **self.past)
        self.past = {n.replace("present", "past_key_values"): v for n, v in results.items() if n != "logits"}
        return results["logits"][:, -1]

    def step(self, tokens):
        self.mask = np.concatenate([self.mask, np.ones((len(tokens), 1), np.int64)], 1)
        return self.feed(np.array(tokens, np.int64)[:, None])

    def select(self, rows):
        self.past = {n: v[rows] for n, v in self.past.items()}
        self.mask = self.mask[rows]


class Segments:
    """A Transformer-XL: every text has mems of its own length, so that texts are fed one by one."""

    def __init__(self, graph, texts, zeros):
        self.graph, self.next = graph, np.array([t[-1] for t in texts])
        self.mems = [self.begin(graph, 1, zeros) for _ in texts]
        for row, text in enumerate(texts):
            if len(text) > 1:
                self.feed(row, text[:-1])

    @staticmethod
    def begin(graph, rows, zeros):
        return {n: np.zeros((rows, zeros, s[2]), np.float32) for n, s in graph.inputs.items() if n.startswith("mems")}

    @staticmethod
    def left(results):
        return {n.replace("new_mems", "mems"): v for n, v in results.items() if n != "logits"}

    def feed(self, row, ids):
        results = self.graph(input_ids=np.array([ids], np.int64), **self.mems[row])
        self.mems[row] = self.left(results)
        return results["logits"][0, -1]

    def step(self, tokens):
        return np.stack([self.feed(row, [token]) for row, token in enumerate(tokens)])

    def select(self, rows):
        self.mems = [self.mems[row] for row in rows]


class EncoderDecoder:
    def __init__(self, encoder, first, later, texts, begin):
        ids, self.mask = padded(texts)
        self.first, self.later = first, later
        self.hidden = encoder(input_ids=ids, attention_mask=self.mask)["last_hidden_state"]
        self.past, self.next = None, np.full(len(texts), begin)

    def step(self, tokens):
        ids = np.array(tokens, np.int64)[:, None]
        if self.past is None:
            results = self.first(input_ids=ids, encoder_hidden_states=self.hidden, encoder_attention_mask=self.mask)
            self.past = {}
        else:
            results = self.later(input_ids=ids, encoder_attention_mask=self.mask, **self.past)
        self.past |= {n.replace("present", "past_key_values"): v for n, v in results.items() if n != "logits"}
        return results["logits"][:, -1]

    def select(self, rows):
        self.past = {n: v[rows] for n, v in self.past.items()}
        self.mask = self.mask[rows]


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def scores_of(logits, run, at_begin, may_end):
    """Log-probabilities under the marks that rapt's searches obey."""
    logits = logits.copy()
    logits[:, run.get("marks/padding", [])] = -np.inf
    scores = log_softmax(logits)
    scores[:, run["marks/suppressed"]] = -np.inf
    if at_begin and len(run["marks/forced"]):
        only = run["marks/forced"][0]
        others = np.arange(scores.shape[1]) != only
        scores[:, others] = -np.inf
    if not may_end:
        scores[:, run["marks/ends"]] = -np.inf
    return scores


def greedy(state, run, length):
    tokens, texts, ended = state.next, [[] for _ in state.next], np.zeros(len(state.next), bool)
    for at in range(length):
        tokens = scores_of(state.step(tokens), run, at == 0, True).argmax(-1)
        for row, token in enumerate(tokens):
            ended[row] |= token in run["marks/ends"]
            if not ended[row]:
                texts[row].append(int(token))
    return texts


def beam(make_state, source, run, length, size=3):
    """The best text of `length` tokens that none of the end tokens cuts short."""
    state = make_state([source])
    texts, totals, tokens = [[]], np.zeros(1), state.next
    for at in range(length):
        scores = totals[:, None] + scores_of(state.step(tokens), run, at == 0, False)
        order = np.argsort(-scores.ravel(), kind="stable")[:size]
        order = [o for o in order if np.isfinite(scores.ravel()[o])]
        rows, tokens = np.divmod(np.array(order), scores.shape[1])
        totals, texts = scores.ravel()[order], [texts[r] + [int(t)] for r, t in zip(rows, tokens)]
        state.select(rows)
    return texts[0]


def check_searches(make_state, texts, run):
    length = 5
    found = greedy(make_state(texts), run, length)
    wanted = [list(t) for t in split(run["greedy"], run["greedy.splits"])]
    assert found == wanted, f"greedy search finds {found}, rapt {wanted}"
    for i, wanted in enumerate(split(run["beam"], run["beam.splits"])):
        found = beam(make_state, texts[i], run, length)
        assert found == list(wanted), f"beam search finds {found} for text {i}, rapt {list(wanted)}"


def check_causal(graph, run, differences):
    texts = split(run["input/input_ids"], run["input/input_ids.splits"])
    lengths, expected = [len(t) for t in texts], run["output/logits"]
    none = Causal.empty(type("G", (), {"graph": graph}), len(texts))
    for before in (False, True):
        ids, mask = padded(texts, before)
        logits = graph(input_ids=ids, attention_mask=mask, **none)["logits"]
        rows = [logits[i][mask[i] == 1] for i in range(len(texts))]
        differences.compare(np.concatenate(rows), expected, f"logits, padded {'before' if before else 'behind'} texts")


def check_steps(make_state, texts, expected, differences):
    """Logits of each text's tokens one by one, from the keys and values of those before."""
    for i, text in enumerate(texts):
        state = make_state([text[:1]])
        for j, token in enumerate(text):
            differences.compare(state.step([token])[0], expected[i][j], f"logits of token {j} of text {i}, step by step")


def check_segments(graph, run, differences):
    texts = split(run["input/input_ids"], run["input/input_ids.splits"])
    zeros = int(run["marks/zeros"][0])
    logits = graph(input_ids=padded(texts)[0], **Segments.begin(graph, len(texts), zeros))["logits"]
    compare_rows(logits, run["output/logits"], [len(t) for t in texts], differences, "logits")
    check_steps(
        lambda t: Segments(graph, t, zeros), texts, split(run["input/steps"], run["input/input_ids.splits"]), differences
    )
    # Two segments of all texts in one call are those of each text.
    ids = np.array([t[: min(map(len, texts))] for t in texts], np.int64)
    first = graph(input_ids=ids[:, :-1], **Segments.begin(graph, len(texts), zeros))
    second = graph(input_ids=ids[:, -1:], **Segments.left(first))
    alone = Segments(graph, list(ids), zeros).step(ids[:, -1])
    differences.compare(second["logits"][:, 0], alone, "logits of a second segment")


def check_pairs(graphs, run, differences):
    encoder, first, later = graphs
    if "input_features" in encoder.inputs:  # Whisper
        return check_speech(graphs, run, differences)
    sources = split(run["input/input_ids"], run["input/input_ids.splits"])
    targets = split(run["input/decoder_input_ids"], run["input/decoder_input_ids.splits"])
    expected = split(run["output/logits"], run["input/decoder_input_ids.splits"])
    ids, mask = padded(sources)
    hidden = encoder(input_ids=ids, attention_mask=mask)["last_hidden_state"]
    logits = first(input_ids=padded(targets)[0], encoder_hidden_states=hidden, encoder_attention_mask=mask)["logits"]
    compare_rows(logits, run["output/logits"], [len(t) for t in targets], differences, "logits")
    for i, target in enumerate(targets):
        state = EncoderDecoder(encoder, first, later, [sources[i]], target[0])
        for j, token in enumerate(target):
            differences.compare(state.step([token])[0], expected[i][j], f"logits of token {j} of text {i}, step by step")


def check_speech(graphs, run, differences):
    encoder, first, later = graphs
    hidden = encoder(input_features=run["input/input_features"])["last_hidden_state"]
    targets = np.stack(split(run["input/decoder_input_ids"], run["input/decoder_input_ids.splits"]))
    expected = run["output/logits"].reshape(*targets.shape, -1)
    differences.compare(first(input_ids=targets, encoder_hidden_states=hidden)["logits"], expected, "logits")
    past = {}
    for j in range(targets.shape[1]):
        ids = targets[:, j : j + 1]
        results = later(input_ids=ids, **past) if j else first(input_ids=ids, encoder_hidden_states=hidden)
        past |= {n.replace("present", "past_key_values"): v for n, v in results.items() if n != "logits"}
        differences.compare(results["logits"][:, 0], expected[:, j], f"logits of token {j}, step by step")


def check_model(folder):
    run = load_file(folder / "run.safetensors")
    operators, largest, searched = set(), {}, False
    names = sorted(p.name for p in folder.glob("*.onnx"))
    for name in names:
        onnx.checker.check_model(str(folder / name), full_check=True)
        operators |= {n.op_type for n in onnx.load(str(folder / name)).graph.node}
    known = {}
    for runtime in (OrtGraph, OpenVinoGraph):
        differences = Differences()
        graphs = {n: runtime(str(folder / n)) for n in names}
        for name, graph in graphs.items():
            if runtime is OrtGraph:
                known[name] = graph
            graph.inputs, graph.outputs = known[name].inputs, known[name].outputs
        if len(names) > 1:
            parts = [graphs[f"{n}.onnx"] for n in ("encoder_model", "decoder_model", "decoder_with_past_model")]
            check_pairs(parts, run, differences)
            make_state = lambda texts: EncoderDecoder(*parts, texts, run["marks/begin"][0])
        elif any(n.startswith("past_key_values") for n in known["model.onnx"].inputs):
            graph = graphs["model.onnx"]
            check_causal(graph, run, differences)
            texts = split(run["input/input_ids"], run["input/input_ids.splits"])
            rotary = "dynamic" in folder.name or "longrope" in folder.name  # keys keep the rotation of shorter texts
            if not rotary:
                expected = split(run["output/logits"], run["input/input_ids.splits"])
                check_steps(lambda t: Causal(graph, t), texts, expected, differences)
            make_state = lambda texts: Causal(graph, texts)
        elif "mems.0" in known["model.onnx"].inputs:
            check_segments(graphs["model.onnx"], run, differences)
            make_state = lambda texts: Segments(graphs["model.onnx"], texts, int(run["marks/zeros"][0]))
        else:
            check_encoder(graphs["model.onnx"], run, differences)
            make_state = None
        if make_state and "beam" in run and runtime is OrtGraph:
            check_searches(make_state, split(run["input/input_ids"], run["input/input_ids.splits"]), run)
            searched = True
        largest[runtime] = differences.largest
    return largest[OrtGraph], largest[OpenVinoGraph], len(operators), searched


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=pathlib.Path)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        runs = arguments.runs
        if runs is None:
            runs = pathlib.Path(temporary) / "runs"
            program = pathlib.Path(temporary) / "export_models"
            root = HERE.parent.parent
            subprocess.run(
                ["g++", "-std=c++20", "-O1", f"-I{root}/include", f"-I{root}", "-isystem", "/usr/include/eigen3",
                 HERE / "export_models.cpp", "-o", program, "-lutf8proc", "-lpcre2-8", "-lpng", "-lz", "-lpthread"],
                check=True)  # fmt: skip
            subprocess.run([program, runs], check=True)
        failures = 0
        print("| model | ONNX Runtime | OpenVINO | operators | tokens of searches |\n|---|---|---|---|---|")
        for folder in sorted(p.parent for p in runs.glob("*/run.safetensors")):
            if arguments.only not in folder.name:
                continue
            try:
                ort, vino, operators, searched = check_model(folder)
                print(f"| {folder.name} | {ort:.1e} | {vino:.1e} | {operators} | {'equal' if searched else '-'} |")
            except Exception as error:
                failures += 1
                print(f"{folder.name}: {type(error).__name__}: {error}"[:600])
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
