#!/usr/bin/env python3
"""Writes attention_options.safetensors with PyTorch as the oracle: attention's options beyond what
torch.nn.MultiheadAttention has, and decoders without a mask of their own.

    python tests/golden/make_attention.py [folder]        # default: the folder of this script

make_transformer.py tells how values are chosen, stored and named. Attention cases have B = 2 sequences of one length:
`query` [B Lq, H d_k], `key` [B Lk, H d_k], `value` [B Lk, H d_v] with `query_splits` and `key_splits`, and beside
`output` [B Lq, H d_v] the probabilities `weights` [B, H, Lq, Lk]. Where scores are capped, these stages are stored, too:
`scaled` (Q K^T / sqrt(d_k)), `capped` (cap tanh(scaled / cap)) and `masked` (plus the mask), [B, H, Lq, Lk].

    few_queries, many_queries    F.scaled_dot_product_attention with is_causal, d_v != d_k; Lq, Lk = 4, 7 and 7, 4
    cap                          softmax(cap tanh(Q K^T / sqrt(d_k) / cap)) V, cap 1.5
    cap_causal                   the same with cap 2, `mask` F32 [H, Lq, Lk] added after capping, some of it -inf, and
                                 causal from the first key; d_v != d_k
    decoder                      torch.nn.TransformerDecoder of two layers and a norm, post-norm, relu, without tgt_mask;
                                 `target` with `row_splits` (lengths 4 6 1), `memory` with `memory_splits` (5 3 7)
    decoder_memory_causal        the same, norm first, gelu, with a memory mask: target i sees memory 0 .. i
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from make_transformer import (D_MODEL, HEADS, SOURCE_LENGTHS, TARGET_LENGTHS, Golden, fill_parameters, layer_options,
                              minus_infinity_where, normal, pad, padding_of, splits_of, unpad)

SEQUENCES = 2


def heads_of(rows, heads):
    """[B L, H d] -> [B, H, L, d]"""
    return rows.unflatten(0, (SEQUENCES, -1)).unflatten(2, (heads, -1)).transpose(1, 2)


def rows_of(heads):
    """[B, H, L, d] -> [B L, H d]"""
    return heads.transpose(1, 2).flatten(2).flatten(0, 1)


def not_seen_from_first(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).triu(1)


def attention_case(golden, name, *, heads, queries, keys, d_k, d_v, cap=0.0, causal=False, mask=None):
    inputs = {
        "query": normal(SEQUENCES * queries, heads * d_k).requires_grad_(),
        "key": normal(SEQUENCES * keys, heads * d_k).requires_grad_(),
        "value": normal(SEQUENCES * keys, heads * d_v).requires_grad_(),
        "query_splits": splits_of([queries] * SEQUENCES),
        "key_splits": splits_of([keys] * SEQUENCES),
    }
    if mask is not None:
        inputs["mask"] = mask
    q, k, v = (heads_of(inputs[word], heads) for word in ("query", "key", "value"))
    scaled = q @ k.transpose(2, 3) / math.sqrt(d_k)
    capped = cap * torch.tanh(scaled / cap) if cap > 0 else scaled
    masked = capped if mask is None else capped + mask
    if causal:
        masked = masked + minus_infinity_where(not_seen_from_first(queries, keys))
    weights = masked.softmax(3)
    output = weights @ v
    if cap == 0:
        output = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        assert torch.allclose(output, weights @ v, rtol=1e-12, atol=1e-12)
    golden.put_case(name, {"heads": heads, "soft_cap": cap, "causal": causal}, inputs, rows_of(output))
    golden.put(f"{name}/weights", weights)
    if cap > 0:
        for stage, scores in (("scaled", scaled), ("capped", capped), ("masked", masked)):
            golden.put(f"{name}/{stage}", scores)


def decoder_case(golden, name, norm_first, activation, memory_causal):
    layer = torch.nn.TransformerDecoderLayer(**layer_options(norm_first, activation))
    decoder = fill_parameters(torch.nn.TransformerDecoder(layer, 2, torch.nn.LayerNorm(D_MODEL)))
    splits, memory_splits = splits_of(TARGET_LENGTHS), splits_of(SOURCE_LENGTHS)
    target = normal(int(splits[-1]), D_MODEL).requires_grad_()
    memory = normal(int(memory_splits[-1]), D_MODEL).requires_grad_()
    memory_mask = not_seen_from_first(max(TARGET_LENGTHS), max(SOURCE_LENGTHS)) if memory_causal else None
    output = decoder(pad(target, splits), pad(memory, memory_splits), memory_mask=memory_mask,
                     tgt_key_padding_mask=padding_of(splits), memory_key_padding_mask=padding_of(memory_splits))
    golden.put_case(name, {"heads": HEADS, "norm_first": norm_first, "activation": activation},
                    {"target": target, "row_splits": splits, "memory": memory, "memory_splits": memory_splits},
                    unpad(output, splits), [*decoder.named_parameters()])


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    torch.manual_seed(7)
    golden = Golden()
    attention_case(golden, "few_queries", heads=3, queries=4, keys=7, d_k=4, d_v=6, causal=True)
    attention_case(golden, "many_queries", heads=3, queries=7, keys=4, d_k=4, d_v=2, causal=True)
    attention_case(golden, "cap", heads=2, queries=5, keys=6, d_k=4, d_v=4, cap=1.5)
    mask = normal(2, 6, 5)
    mask[:, 3, [0, 2]] = -math.inf
    attention_case(golden, "cap_causal", heads=2, queries=6, keys=5, d_k=4, d_v=3, cap=2.0, causal=True, mask=mask)
    decoder_case(golden, "decoder", norm_first=False, activation="relu", memory_causal=False)
    decoder_case(golden, "decoder_memory_causal", norm_first=True, activation="gelu", memory_causal=True)
    golden.save(folder / "attention_options.safetensors")


if __name__ == "__main__":
    main()
