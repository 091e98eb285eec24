#!/usr/bin/env python3
"""Writes log_mel.safetensors: sound, and its log-mel spectrograms by transformers' WhisperFeatureExtractor.

    python tests/golden/make_log_mel.py [folder]        # default: the folder of this script

The spectrograms are those of its code without torch, which computes in float64. Tensors:

    sound               F32, 0.13 s at 16 kHz: tones, a silence and noise
    bins80, bins128     F32 [frames, bins], of 0.2 s, so that silence fills the sound up
    cut                 F32 [frames, 80], of 0.1 s, so that the sound is cut off
    silence             F32 [frames, 80], of no sound at all
"""

import pathlib
import sys

import numpy
import torch
import transformers
from safetensors.torch import save_file

RATE = 16000


def spectrogram(sound, bins, samples):
    extractor = transformers.WhisperFeatureExtractor(feature_size=bins)
    padded = numpy.zeros(samples, dtype=numpy.float32)
    padded[: min(samples, len(sound))] = sound[:samples]
    found = extractor._np_extract_fbank_features(padded[None], "cpu")[0].T
    return torch.from_numpy(found.astype(numpy.float32)).contiguous()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    random = numpy.random.default_rng(1)
    time = numpy.arange(2080) / RATE
    sound = 0.5 * numpy.sin(2 * numpy.pi * 440 * time) + 0.1 * numpy.sin(2 * numpy.pi * 3000 * time)
    sound[700:1000] = 0
    sound[1000:] += 0.05 * random.standard_normal(1080)
    sound = sound.astype(numpy.float32)
    tensors = {"sound": torch.from_numpy(sound), "bins80": spectrogram(sound, 80, 3200),
               "bins128": spectrogram(sound, 128, 3200), "cut": spectrogram(sound, 80, 1600),
               "silence": spectrogram(sound[:0], 80, 800)}
    path = folder / "log_mel.safetensors"
    save_file(tensors, path, metadata={"transformers": transformers.__version__})
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
