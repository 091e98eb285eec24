"""Writes safetensors_sample.safetensors, as Python's safetensors does, for tests/io/safetensors_test.cpp.

Needs torch and safetensors: python3 make_safetensors.py
"""

import pathlib

import torch
from safetensors.torch import save_file

tensors = {
    "f64": torch.tensor([[1.0, -2.5, 1e300], [0.1, 0.0, -0.0]], dtype=torch.float64),
    "f32": torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2) / 3,
    "f16": torch.tensor([1.0, -0.5, 65504.0, 2.0**-24, float("inf"), 0.1], dtype=torch.float16),
    "bf16": torch.tensor([1.0, -0.5, 3.0e38, 2.0**-133, float("-inf"), 0.1], dtype=torch.bfloat16),
    "i64": torch.tensor([2**53, -(2**53), -1], dtype=torch.int64),
    "i32": torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32),
    "i16": torch.tensor([32767, -32768], dtype=torch.int16),
    "i8": torch.tensor([127, -128, 5], dtype=torch.int8),
    "u8": torch.tensor([[0], [255]], dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(7.25),
    "empty": torch.zeros(0, 4),
    "rank5": torch.ones(1, 1, 2, 1, 1),
    "f8": torch.ones(3).to(torch.float8_e4m3fn),
    "layer.0.wéight 重": torch.tensor([3.5]),
}
path = pathlib.Path(__file__).with_name("safetensors_sample.safetensors")
save_file(tensors, path, metadata={"format": "pt", "läng": "中文 \"quoted\"\n"})
path.chmod(0o644)
