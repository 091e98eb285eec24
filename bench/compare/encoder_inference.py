#!/usr/bin/env python3
"""Latency of an encoder on one sentence: rapt beside ONNX Runtime, on a model exported from PyTorch.

The size of small sentence encoders: 6 layers, d 384, 12 heads, feed-forward 1536, GELU.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from common import Report, Row, System, alternate, check, main, paired_row, progress, rapt_worker, timed

LAYERS, D_MODEL, HEADS, D_FF = 6, 384, 12, 1536
LENGTHS = (32, 128)
ROUNDS = 7
LIMITS = {"highest": 1e-4, "medium": 5e-2}  # of the largest difference of outputs, which are of size 1


def make_encoder():
    """A torch.nn.TransformerEncoder with random weights, biases and norms, too."""
    torch.manual_seed(1)
    layer = torch.nn.TransformerEncoderLayer(D_MODEL, HEADS, D_FF, dropout=0.0, activation="gelu", batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return encoder.eval()


def onnx_session(encoder, x, threads, file):
    """For inputs of the size of x [1, L, D]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript's exporter is the older one; the newer needs more packages
        torch.onnx.export(encoder, (x,), file, input_names=["x"], output_names=["y"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def measure_length(settings, length, precision, encoder, worker, folder):
    work = f"encoder, {length} tokens"
    progress(work)
    x = torch.randn(1, length, D_MODEL)
    save_file({"x": x[0]}, folder / "input.safetensors")
    worker.ask("encoder", input=str(folder / "input.safetensors"), weights=str(folder / "encoder.safetensors"),
               layers=LAYERS, heads=HEADS, d_ff=D_FF)
    session = onnx_session(encoder, x, settings.threads, folder / "encoder.onnx")
    feed = {"x": x.numpy()}

    worker.run(0, 1)
    worker.ask("write", output=str(folder / "output.safetensors"))
    ours = load_file(folder / "output.safetensors")["y"]
    difference = float(np.abs(ours - session.run(None, feed)[0][0]).max())
    check(f"{work}: output in {precision}", difference, LIMITS[precision])

    systems = (System("rapt", precision, worker.run),
               System("ONNX Runtime", "float32", timed(lambda: session.run(None, feed))))
    times = alternate(systems, settings.rounds_of(ROUNDS))
    quality = f"outputs differ by at most {difference:.0e}"
    median = paired_row(work, *systems, *times, settings.threads, quality)
    rapt_slow, peer_slow = (1e3 * float(np.percentile(np.concatenate(t), 99)) for t in times)
    runs = " and ".join(str(sum(map(len, t))) for t in reversed(times))
    return [median, Row(f"{work}, 99th percentile", "ONNX Runtime", median.precision, settings.threads,
                        f"of {runs} runs", peer_value=peer_slow, rapt_value=rapt_slow, ratios=[peer_slow / rapt_slow])]


def measure(settings):
    torch.set_num_threads(settings.threads)
    report, encoder = Report(), make_encoder()
    with tempfile.TemporaryDirectory() as name:
        save_file(encoder.state_dict(), Path(name) / "encoder.safetensors")
        for precision in LIMITS:
            with rapt_worker(settings, precision) as worker:
                for length in LENGTHS:
                    report.rows += measure_length(settings, length, precision, encoder, worker, Path(name))
    return report


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0], "encoder_inference")
