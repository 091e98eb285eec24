#!/usr/bin/env python3
"""Whether transformers loads what rapt's save_pretrained writes, and computes with it what rapt computes.

    python tests/golden/check_pretrained.py                 # every model and setting of tests/common/saved_models.hpp
    python tests/golden/check_pretrained.py --only llama    # those whose names contain a word
    python tests/golden/check_pretrained.py --folder FOLDER # keeps what was saved there

Compiles save_models.cpp with $CXX (default: c++; Eigen in /usr/include/eigen3 or $EIGEN) and runs it. Each folder is
then loaded with the class that its config.json names, which must find no tensor missing, none too many and none of
another shape. Every tensor of the file is compared bit for bit with the loaded model's, the outputs with rapt's, the
tokens that generation uses with those of the folder, and what greedy search generates. It fails if anything differs,
and needs torch, transformers and safetensors (checked with transformers 5.24), for which reason it is not part of the
tests.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file

from saved_cases import saved

ROOT = pathlib.Path(__file__).parents[2]
GENERATED = 5  # kGenerated of saved_models.hpp
TOLERANCE = 2e-6  # of the largest output: transformers computes norms, angles and sinusoids in float32
TOKENS = ["bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id",
          "forced_eos_token_id", "suppress_tokens"]
# Of these transformers 5.24 itself computes something else, or nothing.
FAULTS = {
    "beit_oblong_positions": "it divides by a patch size that is a list",
    "beit_oblong_relative": "it mixes up height and width of the table of relative positions",
    "beit_masked_class_token": "it exchanges two norms on loading, of its own files, too",
}
# Keys whose absence means something else than null.
NULLABLE = {"attn_logit_softcapping", "final_logit_softcapping", "pad_token_id"}
# Models that transformers 5 has no more.
GONE = {"transfo-xl"}


def save_all(folder):
    """Compiles and runs save_models.cpp."""
    program = folder / "save_models"
    subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O1", "-I", ROOT / "include", "-I", ROOT, "-isystem",
                    os.environ.get("EIGEN", "/usr/include/eigen3"), ROOT / "tests/golden/save_models.cpp", "-o",
                    program, "-lpthread"], check=True)
    subprocess.run([program, folder], check=True)
    program.unlink()


def load(folder):
    """The model, and what the loading had to say against it."""
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    model, info = getattr(transformers, name).from_pretrained(folder, dtype="auto", output_loading_info=True)
    # BertModel and others without a head always have a pooler in transformers, a new one where the file has none; and
    # BertForMaskedLM has none, whatever the file has. Pegasus' sinusoids, which transformers would find in a file of its
    # own, it computes where there are none.
    for kind in ("missing_keys", "unexpected_keys"):
        info[kind] = {key for key in info[kind] if "pooler." not in key}
    if model.config.model_type == "pegasus":
        info["missing_keys"] = {key for key in info["missing_keys"] if "embed_positions." not in key}
    return model.eval(), [f"{kind.replace('_', ' ')}: {sorted(map(str, found))}" for kind, found in info.items() if found]


def different_tensors(model, folder):
    """Which tensors of the file are not the model's."""
    # A module's name in memory is not always that in files, of which MAE's decoder has an older one, too.
    rename = lambda name: name.replace("decoder.decoder_encoder.layer.", "decoder.decoder_layers.")
    stored = model.state_dict() | saved(model, rename)
    for name, expected in load_file(folder / "model.safetensors").items():
        if name not in stored:
            if "pooler." not in name:
                yield f"{name}: the model has no such tensor"
        elif stored[name].dtype != expected.dtype:
            yield f"{name}: {stored[name].dtype}, expected {expected.dtype}"
        elif stored[name].shape != expected.shape or not torch.equal(stored[name], expected):
            yield f"{name}: differs"


def calls(inputs):
    """Arguments of one call for each sequence, or of a single one for pictures and sound: without padding."""
    if "pixel_values" in inputs or "input_features" in inputs:
        call = dict(inputs)
        if "bool_masked_pos" in call:
            call["bool_masked_pos"] = call["bool_masked_pos"].bool().reshape(call["pixel_values"].shape[0], -1)
        for name in {"input_ids", "decoder_input_ids"} & set(call):  # texts of one length
            call[name] = call[name].reshape(len(call.pop(f"{name}.splits")) - 1, -1)
        return [call]
    names = [name for name in inputs if not name.endswith(".splits")]
    result = []
    for i in range(len(inputs["input_ids.splits"]) - 1):
        call = {}
        for name in names:
            begin, end = inputs.get(name + ".splits", inputs["input_ids.splits"])[i:i + 2].tolist()
            call[name] = inputs[name][begin:end][None]
        result.append(call)
    return result


def different_outputs(model, folder):
    """Which outputs are not rapt's."""
    run = load_file(folder / "run.safetensors")
    inputs = {name.removeprefix("input/"): value for name, value in run.items() if name.startswith("input/")}
    outputs = {name.removeprefix("output/"): value for name, value in run.items() if name.startswith("output/")}
    with torch.no_grad():
        results = [model(**call) for call in calls(inputs)]
    if "generated" in run:
        yield from different_generation(model, inputs, run)
    for name, ours in outputs.items():
        theirs = torch.cat([getattr(result, name).reshape(-1, ours.shape[-1]) for result in results]).double()
        if theirs.shape != ours.shape:
            yield f"{name}: {list(theirs.shape)}, rapt's {list(ours.shape)}"
            continue
        error = ((theirs - ours).abs().max() / ours.abs().max()).item()
        if not error <= TOLERANCE:
            yield f"{name}: relative error {error:.3g}"


def different_generation(model, inputs, run):
    """Whether transformers generates other tokens, by greedy search with the folder's begin and end tokens."""
    ends = model.generation_config.eos_token_id
    ends = set() if ends is None else {ends} if isinstance(ends, int) else set(ends)
    for i, call in enumerate(calls(inputs)):
        # One token more than rapt, which does not count an end symbol that is forced at the maximum length.
        ids = model.generate(call["input_ids"], max_new_tokens=GENERATED + 1, do_sample=False)[0].tolist()
        theirs = ids[1 if model.config.is_encoder_decoder else call["input_ids"].shape[1]:]
        length = next((k for k, token in enumerate(theirs) if token in ends), len(theirs))
        theirs = theirs[:min(length, GENERATED)]
        begin, end = run["generated.splits"][i:i + 2].tolist()
        ours = run["generated"][begin:end].tolist()
        if theirs != ours:
            yield f"generates {theirs}, rapt {ours}"


def different_tokens(model, folder):
    """Which tokens generation would take that the folder does not name."""
    path = folder / "generation_config.json"
    if not path.exists() or not hasattr(model, "generation_config"):  # as a classifier has none
        return
    written = json.loads(path.read_text())
    for name in TOKENS:
        theirs = getattr(model.generation_config, name)
        if theirs != written.get(name) and [theirs] != written.get(name):
            yield f"{name}: {theirs}, written {written.get(name)}"


def check(folder):
    """What is wrong with a folder, line by line."""
    for path in folder.glob("*.json"):
        if any("null" in line and not any(key in line for key in NULLABLE) for line in path.read_text().splitlines()):
            yield f"{path.name} holds null"
    try:
        model, complaints = load(folder)
        yield from complaints
        yield from different_tensors(model, folder)
        yield from different_tokens(model, folder)
        yield from different_outputs(model, folder)
    except Exception as error:  # each kind that transformers may raise
        yield f"{type(error).__name__}: {error}"


def check_all(folder, only):
    failed = passed = 0
    for case in sorted(path for path in folder.iterdir() if path.is_dir() and only in path.name):
        if json.loads((case / "config.json").read_text())["model_type"] in GONE:
            continue
        wrong = list(check(case))
        if case.name in FAULTS:
            print(f"{case.name}: {'a fault of transformers: ' + FAULTS[case.name] if wrong else 'is right by now'}")
            continue
        failed += bool(wrong)
        passed += not wrong
        for line in wrong:
            print(f"{case.name}: {line}")
    print(f"transformers {transformers.__version__}: {passed} folders as they should be, {failed} FAILED")
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, help="where the models are saved; default: a temporary folder")
    parser.add_argument("--only", default="", help="only the cases whose names contain it")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        save_all(folder)
        return check_all(folder, arguments.only)


if __name__ == "__main__":
    sys.exit(main())
