#!/usr/bin/env python3
"""Writes the golden safetensors files of this folder with PyTorch as the oracle.

    python tests/golden/make_transformer.py [folder]        # default: the folder of this script

Values are computed in float64 and stored as F32, so that the oracle's own rounding does not matter. Inputs and
parameters are rounded to float32 before they are used: what is stored is exactly what was computed with. CPU, one
thread, fixed seeds. Only two types are stored: F32, and I64 for ids, row splits, targets and boolean masks (0 or 1).

Metadata of every file: "info", a JSON object {"torch": "<version>", "cases": {"<case>": {settings}}}.


Names
-----
A tensor is `<case>/<name>`. For every case:

    <case>/<input>              inputs; a batch of sequences is rows laid end to end, [N, D], beside its row splits
    <case>/row_splits           I64 [B + 1] (`memory_splits`, `source_splits`, ... where there are several)
    <case>/param/<name>         parameters under their torch state_dict names (linear weights are [out, in])
    <case>/output               the result
    <case>/upstream             random, same shape as output; the loss of the case is sum(output * upstream)
    <case>/grad/<input>         gradient of that loss with respect to <case>/<input>
    <case>/grad/param/<name>    gradient of that loss with respect to <case>/param/<name>

Sizes throughout: D = 16, H = 4 (head_dim 4), d_ff = 32, B = 3 unless told. `Lmax` is the longest sequence.

attention.safetensors: torch.nn.MultiheadAttention
    inputs: `query` [N, D] with `row_splits`, and for cross attention `memory` [M, D] (key and value) with
    `memory_splits`. Self attention has no `memory`. Parameters: in_proj_weight [3D, D] (query, key, value rows),
    in_proj_bias [3D], out_proj.weight [D, D], out_proj.bias [D]. Also stored, without a part in the loss:
    `weights` [B, H, Lq, Lk], the softmax per head (not averaged), zeros where a row or key does not exist.
    Entry i, j of a mask speaks of query i and key j of a sequence; shorter sequences use its top left corner.
      self             lengths 5 3 7, no mask
      no_bias          the same, without in_proj_bias and out_proj.bias
      causal           j <= i
      window           |i - j| <= 2
      causal_window    i - 2 <= j <= i
      boolean_mask     `mask` I64 [Lmax, Lmax], 1 = may not attend; the diagonal is 0
      additive_mask    `mask` F32 [Lmax, Lmax], added to the scaled scores; grad/mask is summed over B and H
      additive_mask_per_head   `mask` F32 [B, H, Lmax, Lmax], some entries -inf (never on the diagonal); has grad/mask;
                       entries outside a sequence's corner are zeros, and so is their gradient
      dense_key_padding   dense [B, L] batch, L = 6, row splits 0 6 12 18; `key_padding_mask` I64 [B, L], 1 = ignored
                       key; ignored rows stay as queries, so all 18 rows have outputs
      cross            query lengths 4 6 1, memory lengths 5 3 7
      cross_value      the same, with `key` [M, D] and `value` [M, D] instead of `memory`

encoder_layer.safetensors: torch.nn.TransformerEncoderLayer, dropout 0, eps 1e-5
    inputs: `source` [N, D], `row_splits` (lengths 5 3 7).
    Parameters self_attn.*, linear1.*, linear2.*, norm1.*, norm2.*
      post_relu, post_gelu, pre_relu, pre_gelu     post: norm after each residual (the paper); pre: norm_first
      pre_gelu_causal                              causal mask as well. gelu is the exact one (erf)

decoder_layer.safetensors: torch.nn.TransformerDecoderLayer, dropout 0, causal self attention
    inputs: `target` [N, D] with `row_splits` (lengths 4 6 1), `memory` [M, D] with `memory_splits` (lengths 5 3 7).
    Parameters self_attn.*, multihead_attn.*, linear1.*, linear2.*, norm1.*, norm2.*, norm3.*
      post_relu, post_gelu, pre_relu, pre_gelu

transformer.safetensors: whole models, class Model below; 2 + 2 layers, dropout 0
    inputs: `source` I64 [N] with `source_splits`, `target_input` and `target_output` I64 [M] with `target_splits`.
    Results: `logits` [M, V] and `loss` [1] = cross_entropy(logits, target_output), label smoothing 0.1, mean over the
    M tokens; grad/logits and grad/param/* are of this loss (no `output`, no `upstream`). Embeddings are multiplied by
    sqrt(D), then the paper's sinusoids are added. encoder.norm.* and decoder.norm.* exist in both cases.
      post_shared      post-norm, relu, V = 23; `embedding.weight` [V, D] is source and target embedding and the
                       output projection (no bias)
      pre_separate     norm first, gelu, 23 source and 19 target ids; source_embedding.weight, target_embedding.weight,
                       output.weight [19, D], output.bias [19]

adam.safetensors: ten steps from the model of transformer.safetensors: post_shared, label smoothing 0.1 as there
    init/param/<name>           where both runs start (equal to post_shared/param/<name>)
    batch<k>/source, source_splits, target_input, target_output, target_splits      for k = 0 .. 9, used by step k + 1
    <case>/learning_rates [10]  D^-0.5 * min(step^-0.5, step * warmup^-1.5), step = 1 .. 10, warmup = 4
    <case>/losses [10]          before each step
    <case>/gradient_norms [10]  2-norm of all gradients, before clipping
    <case>/param/<name>         after ten steps
      adam             torch.optim.Adam, betas 0.9 0.98, eps 1e-9, no clipping
      adamw            torch.optim.AdamW, the same betas and eps, weight_decay 0.1 on every parameter, gradients clipped
                       to norm 1 (clip_grad_norm_) before each step
    Compare no elements D .. 2D of any in_proj_bias (the key bias) after training: softmax cancels it, its gradient is
    rounding noise, and Adam turns noise into full steps. It changes nothing else. The same steps computed in float32 by
    PyTorch's operations differ from these by less than 1e-6 in the losses and 6e-5 in the other parameters (the largest
    rate is 0.125).

ops.safetensors: functions on small inputs
    gelu_erf, gelu_tanh          `x` [4, 9]: ordinary values and up to +-1e4; output, upstream, grad/x
    softmax                      `x` [6, 9] over the last dimension: ordinary, +-1e4, all equal, with -inf entries
    layer_norm, layer_norm_large, layer_norm_offset, layer_norm_tiny
                                 `x` [5, 16], param/weight [16], param/bias [16], eps 1e-5; values about 1, 1e4,
                                 1000 + noise, 1e-3; the last row of layer_norm is constant (variance 0)
    cross_entropy, cross_entropy_smoothed, cross_entropy_large, cross_entropy_large_smoothed
                                 `logits` [6, 23], `targets` I64 [6]; output [1] is the mean, upstream [1] is 1;
                                 grad/logits; smoothing 0 or 0.1; large: logits times 1000
    positional_encoding          output [12, 16]: sin(pos / 10000^(2i/D)) in columns 2i, cos in columns 2i + 1
"""

import json
import math
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

D_MODEL, HEADS, D_FF = 16, 4, 32
SOURCE_LENGTHS, TARGET_LENGTHS = (5, 3, 7), (4, 6, 1)
SOURCE_VOCABULARY, TARGET_VOCABULARY = 23, 19
BEGIN, END = 1, 2  # ids that open and close a target
LABEL_SMOOTHING = 0.1

warnings.filterwarnings("ignore", message="enable_nested_tensor is True")


# Ragged rows <-> PyTorch's padded batches.


def splits_of(lengths):
    return torch.tensor([0, *lengths]).cumsum(0)


def padding_of(splits):
    """[B, L] booleans, True where a padded batch has no row."""
    lengths = splits.diff()
    return torch.arange(int(lengths.max())) >= lengths[:, None]


def pad(rows, splits):
    """[N, ...] rows -> [B, L, ...], zeros behind the end of each sequence."""
    exists = ~padding_of(splits)
    padded = rows.new_zeros(*exists.shape, *rows.shape[1:])
    return padded.index_put((exists,), rows)  # row-major order of `exists` is the order of the rows


def unpad(padded, splits):
    return padded[~padding_of(splits)]


def minus_infinity_where(mask):
    return torch.zeros(mask.shape, dtype=torch.float64).masked_fill(mask, -math.inf)


def causal_mask(length):
    return torch.ones(length, length, dtype=torch.bool).triu(1)


# Values.


def normal(*shape, scale=1.0):
    """float64 values that float32 holds exactly."""
    return (torch.randn(*shape, dtype=torch.float64) * scale).float().double()


def fill_parameters(module):
    """Random values for every parameter, biases and norms too, so that none hides behind a zero or a one."""
    module.double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "norm" in name:
                center = 1.0 if name.endswith("weight") else 0.0
                parameter.copy_((center + normal(*parameter.shape, scale=0.2)).float())
            elif "embedding" in name:
                parameter.copy_(normal(*parameter.shape, scale=D_MODEL**-0.5))
            elif parameter.dim() == 2:
                parameter.copy_(normal(*parameter.shape, scale=parameter.shape[1] ** -0.5))
            else:
                parameter.copy_(normal(*parameter.shape, scale=0.2))
    return module


class Golden:
    """The tensors of one file."""

    def __init__(self):
        self.tensors, self.cases = {}, {}

    def put(self, name, value):
        value = value.detach()
        value = value.float() if value.is_floating_point() else value.long()
        self.tensors[name] = value.reshape(value.shape or (1,)).contiguous().clone()

    def put_case(self, case, settings, inputs, output, parameters=(), upstream=None):
        """Stores a case and the gradients of sum(output * upstream) for all inputs and parameters that require them."""
        upstream = normal(*output.shape) if upstream is None else upstream
        for _, value in (*inputs.items(), *parameters):
            value.grad = None
        (output * upstream).sum().backward()
        self.cases[case] = settings
        for name, value in (*inputs.items(), *(("param/" + name, value) for name, value in parameters)):
            self.put(f"{case}/{name}", value)
            if value.requires_grad:
                self.put(f"{case}/grad/{name}", value.grad)
        self.put(f"{case}/output", output)
        self.put(f"{case}/upstream", upstream)

    def save(self, path):
        for name, value in self.tensors.items():
            assert not value.isnan().any(), name
        info = json.dumps({"torch": torch.__version__, "cases": self.cases})
        save_file(self.tensors, path, metadata={"info": info})
        path.chmod(0o644)  # safetensors leaves 0600
        print(f"{path.name}: {len(self.cases)} cases, {len(self.tensors)} tensors, {path.stat().st_size} bytes")


# attention.safetensors


def attend(module, query, key, value, query_splits, memory_splits, blocked=None, additive=None, key_padding=None):
    """(output rows, weights [B, H, Lq, Lk]). `blocked` [Lq, Lk] booleans, `additive` [Lq, Lk] or [B, H, Lq, Lk]."""
    no_query, no_key = padding_of(query_splits), padding_of(memory_splits)
    no_key = no_key if key_padding is None else no_key | key_padding
    (batch, query_length), key_length = no_query.shape, no_key.shape[1]
    mask = torch.zeros(batch, HEADS, query_length, key_length, dtype=torch.float64)
    mask = mask if blocked is None else mask + minus_infinity_where(blocked)
    mask = mask if additive is None else mask + additive
    # Rows that do not exist may look anywhere: a window could leave them no key, and NaN would spread in backward.
    mask = mask.where(~no_query[:, None, :, None], 0.0)
    output, weights = module(
        pad(query, query_splits), pad(key, memory_splits), pad(value, memory_splits),
        attn_mask=mask.reshape(-1, query_length, key_length), key_padding_mask=minus_infinity_where(no_key),
        need_weights=True, average_attn_weights=False)
    return unpad(output, query_splits), weights.masked_fill(no_query[:, None, :, None], 0.0)


def make_attention():
    golden = Golden()
    longest = max(SOURCE_LENGTHS)
    ragged = splits_of(SOURCE_LENGTHS)

    def case(name, settings, *, splits=ragged, memory_splits=None, separate_value=False, bias=True, blocked=None,
             additive=None, key_padding=None, stored=None):
        module = torch.nn.MultiheadAttention(D_MODEL, HEADS, bias=bias, batch_first=True)
        fill_parameters(module)
        inputs = {"query": normal(int(splits[-1]), D_MODEL).requires_grad_(), "row_splits": splits}
        key = value = inputs["query"]
        if memory_splits is not None:
            for word in ("key", "value") if separate_value else ("memory",):
                inputs[word] = normal(int(memory_splits[-1]), D_MODEL).requires_grad_()
            key, value = (inputs.get(word, inputs.get("memory")) for word in ("key", "value"))
            inputs["memory_splits"] = memory_splits
        output, weights = attend(module, inputs["query"], key, value, splits,
                                 splits if memory_splits is None else memory_splits, blocked, additive, key_padding)
        golden.put_case(name, {"heads": HEADS, **settings}, {**inputs, **(stored or {})}, output,
                        [*module.named_parameters()])
        golden.put(f"{name}/weights", weights)

    distance = torch.arange(longest)[:, None] - torch.arange(longest)  # i - j
    diagonal = distance == 0
    case("self", {})
    case("no_bias", {"bias": False}, bias=False)
    case("causal", {"causal": True}, blocked=distance < 0)
    case("window", {"window": 2}, blocked=distance.abs() > 2)
    case("causal_window", {"causal": True, "window": 2}, blocked=(distance < 0) | (distance > 2))
    boolean = (torch.rand(longest, longest) < 0.4) & ~diagonal
    case("boolean_mask", {"mask": "boolean"}, blocked=boolean, stored={"mask": boolean})
    additive = normal(longest, longest).requires_grad_()
    case("additive_mask", {"mask": "additive"}, additive=additive, stored={"mask": additive})
    exists = ~padding_of(ragged)
    corner = exists[:, None, :, None] & exists[:, None, None, :]
    additive = normal(len(SOURCE_LENGTHS), HEADS, longest, longest)
    additive = additive.masked_fill((torch.rand(additive.shape) < 0.2) & ~diagonal, -math.inf)
    additive = additive.masked_fill(~corner, 0.0).requires_grad_()
    case("additive_mask_per_head", {"mask": "additive"}, additive=additive, stored={"mask": additive})
    ignored = torch.tensor([[0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0], [0, 0, 1, 1, 1, 1]], dtype=torch.bool)
    case("dense_key_padding", {"mask": "key_padding"}, splits=splits_of((6, 6, 6)), key_padding=ignored,
         stored={"key_padding_mask": ignored})
    case("cross", {}, splits=splits_of(TARGET_LENGTHS), memory_splits=ragged)
    case("cross_value", {}, splits=splits_of(TARGET_LENGTHS), memory_splits=ragged, separate_value=True)
    return golden


# encoder_layer.safetensors, decoder_layer.safetensors


def layer_options(norm_first, activation):
    return dict(d_model=D_MODEL, nhead=HEADS, dim_feedforward=D_FF, dropout=0.0, activation=activation,
                batch_first=True, norm_first=norm_first)


def layer_variants():
    for norm_first in (False, True):
        for activation in ("relu", "gelu"):
            yield f"{'pre' if norm_first else 'post'}_{activation}", norm_first, activation


def make_encoder_layer():
    golden = Golden()
    for name, norm_first, activation in (*layer_variants(), ("pre_gelu_causal", True, "gelu")):
        causal = name.endswith("causal")
        layer = fill_parameters(torch.nn.TransformerEncoderLayer(**layer_options(norm_first, activation)))
        splits = splits_of(SOURCE_LENGTHS)
        source = normal(int(splits[-1]), D_MODEL).requires_grad_()
        mask = causal_mask(max(SOURCE_LENGTHS)) if causal else None
        output = unpad(layer(pad(source, splits), src_mask=mask, src_key_padding_mask=padding_of(splits)), splits)
        golden.put_case(name, {"heads": HEADS, "norm_first": norm_first, "activation": activation, "causal": causal},
                        {"source": source, "row_splits": splits}, output, [*layer.named_parameters()])
    return golden


def make_decoder_layer():
    golden = Golden()
    for name, norm_first, activation in layer_variants():
        layer = fill_parameters(torch.nn.TransformerDecoderLayer(**layer_options(norm_first, activation)))
        splits, memory_splits = splits_of(TARGET_LENGTHS), splits_of(SOURCE_LENGTHS)
        target = normal(int(splits[-1]), D_MODEL).requires_grad_()
        memory = normal(int(memory_splits[-1]), D_MODEL).requires_grad_()
        output = layer(pad(target, splits), pad(memory, memory_splits), tgt_mask=causal_mask(max(TARGET_LENGTHS)),
                       tgt_key_padding_mask=padding_of(splits), memory_key_padding_mask=padding_of(memory_splits))
        golden.put_case(name, {"heads": HEADS, "norm_first": norm_first, "activation": activation},
                        {"target": target, "row_splits": splits, "memory": memory, "memory_splits": memory_splits},
                        unpad(output, splits), [*layer.named_parameters()])
    return golden


# transformer.safetensors


def sinusoids(length, d_model):
    """PE(pos, 2i) = sin(pos / 10000^(2i/D)), PE(pos, 2i+1) = cos(the same): section 3.5 of the paper. [length, D]"""
    angle = torch.arange(length, dtype=torch.float64)[:, None] / 10000.0 ** (
        torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    return torch.stack([angle.sin(), angle.cos()], dim=2).reshape(length, -1)[:, :d_model]


class Model(torch.nn.Transformer):
    """torch.nn.Transformer with embeddings and output projection; without target_vocabulary one matrix is all three."""

    def __init__(self, *, source_vocabulary, target_vocabulary=None, d_model, heads, d_ff, encoder_layers,
                 decoder_layers, norm_first, activation):
        super().__init__(d_model=d_model, nhead=heads, num_encoder_layers=encoder_layers, dropout=0.0,
                         num_decoder_layers=decoder_layers, dim_feedforward=d_ff, activation=activation,
                         norm_first=norm_first, batch_first=True)
        if target_vocabulary is None:
            self.embedding = torch.nn.Embedding(source_vocabulary, d_model)
        else:
            self.source_embedding = torch.nn.Embedding(source_vocabulary, d_model)
            self.target_embedding = torch.nn.Embedding(target_vocabulary, d_model)
            self.output = torch.nn.Linear(d_model, target_vocabulary)

    def forward(self, source, source_splits, target, target_splits):
        """ids [N] and [M] -> logits [M, V]"""
        shared = hasattr(self, "embedding")
        no_source, no_target = padding_of(source_splits), padding_of(target_splits)
        hidden = super().forward(
            self.embed(self.embedding if shared else self.source_embedding, pad(source, source_splits)),
            self.embed(self.embedding if shared else self.target_embedding, pad(target, target_splits)),
            tgt_mask=causal_mask(no_target.shape[1]), src_key_padding_mask=no_source, tgt_key_padding_mask=no_target,
            memory_key_padding_mask=no_source)
        hidden = unpad(hidden, target_splits)
        return F.linear(hidden, self.embedding.weight) if shared else self.output(hidden)

    def embed(self, embedding, ids):
        """[B, L] -> [B, L, D]"""
        vectors = embedding(ids) * math.sqrt(self.d_model)
        return vectors + sinusoids(ids.shape[1], self.d_model).to(vectors.dtype)


def model_loss(logits, target_output):
    return F.cross_entropy(logits, target_output, label_smoothing=LABEL_SMOOTHING)


SHARED = dict(source_vocabulary=SOURCE_VOCABULARY, d_model=D_MODEL, heads=HEADS, d_ff=D_FF, encoder_layers=2,
              decoder_layers=2, norm_first=False, activation="relu")
SEPARATE = dict(SHARED, target_vocabulary=TARGET_VOCABULARY, norm_first=True, activation="gelu")


def random_ids(count, vocabulary):
    return torch.randint(END + 1, vocabulary, (count,))


def random_batch(source_lengths, target_lengths, source_vocabulary, target_vocabulary):
    """Random sequences; a target of length n is BEGIN and n - 1 words as input, the words and END as output."""
    targets = [random_ids(length - 1, target_vocabulary) for length in target_lengths]
    return {
        "source": random_ids(sum(source_lengths), source_vocabulary),
        "source_splits": splits_of(source_lengths),
        "target_input": torch.cat([torch.cat([torch.tensor([BEGIN]), words]) for words in targets]),
        "target_output": torch.cat([torch.cat([words, torch.tensor([END])]) for words in targets]),
        "target_splits": splits_of(target_lengths),
    }


def run(model, batch):
    return model(batch["source"], batch["source_splits"], batch["target_input"], batch["target_splits"])


def make_transformer():
    golden, shared_state = Golden(), None
    for name, config in (("post_shared", SHARED), ("pre_separate", SEPARATE)):
        model = fill_parameters(Model(**config))
        target_vocabulary = config.get("target_vocabulary", config["source_vocabulary"])
        batch = random_batch(SOURCE_LENGTHS, TARGET_LENGTHS, config["source_vocabulary"], target_vocabulary)
        logits = run(model, batch)
        logits.retain_grad()
        loss = model_loss(logits, batch["target_output"])
        loss.backward()
        golden.cases[name] = {**config, "label_smoothing": LABEL_SMOOTHING}
        for key, value in (*batch.items(), ("logits", logits), ("loss", loss), ("grad/logits", logits.grad)):
            golden.put(f"{name}/{key}", value)
        for key, value in model.named_parameters():
            golden.put(f"{name}/param/{key}", value)
            golden.put(f"{name}/grad/param/{key}", value.grad)
        shared_state = shared_state or model.state_dict()
    return golden, shared_state


# adam.safetensors


def train(make_optimizer, initial, batches, schedule, clip):
    """(model, losses, gradient norms) after one step per batch."""
    model = Model(**SHARED).double()
    model.load_state_dict(initial)
    optimizer = make_optimizer(model.parameters())
    losses, norms = [], []
    for batch, rate in zip(batches, schedule):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = model_loss(run(model, batch), batch["target_output"])
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), math.inf if clip is None else clip).item())
        losses.append(loss.item())
        optimizer.step()
    return model, losses, norms


ADAM = dict(betas=(0.9, 0.98), eps=1e-9)
OPTIMIZERS = {
    "adam": (lambda parameters: torch.optim.Adam(parameters, **ADAM), None),
    "adamw": (lambda parameters: torch.optim.AdamW(parameters, weight_decay=0.1, **ADAM), 1.0),
}
STEPS, WARMUP = 10, 4


def make_adam(initial):
    golden = Golden()
    batches = []
    for k in range(STEPS):
        lengths = torch.randint(1, 8, (2, 3)).tolist()
        batches.append(random_batch(*lengths, SOURCE_VOCABULARY, SOURCE_VOCABULARY))
        for name, value in batches[-1].items():
            golden.put(f"batch{k}/{name}", value)
    for name, value in initial.items():
        golden.put(f"init/param/{name}", value)
    schedule = [D_MODEL**-0.5 * min(step**-0.5, step * WARMUP**-1.5) for step in range(1, STEPS + 1)]
    for case, (make_optimizer, clip) in OPTIMIZERS.items():
        model, losses, norms = train(make_optimizer, initial, batches, schedule, clip)
        golden.cases[case] = {**SHARED, **ADAM, "label_smoothing": LABEL_SMOOTHING, "warmup": WARMUP,
                              "weight_decay": 0.1 if case == "adamw" else 0.0, "clip": clip}
        for name, values in (("learning_rates", schedule), ("losses", losses), ("gradient_norms", norms)):
            golden.put(f"{case}/{name}", torch.tensor(values, dtype=torch.float64))
        for name, value in model.named_parameters():
            golden.put(f"{case}/param/{name}", value)
    return golden


# ops.safetensors


def make_ops():
    golden = Golden()
    gelu_input = torch.cat([
        normal(18), torch.linspace(-6, 6, 9, dtype=torch.float64),
        torch.tensor([0.0, -0.0, 1e-6, 12.0, -12.0, 100.0, -100.0, 1e4, -1e4], dtype=torch.float64)
    ]).float().double().reshape(4, 9)
    for case, approximate in (("gelu_erf", "none"), ("gelu_tanh", "tanh")):
        x = gelu_input.clone().requires_grad_()
        golden.put_case(case, {"approximate": approximate}, {"x": x}, F.gelu(x, approximate=approximate))

    x = normal(6, 9)
    x[2] *= 1e4
    x[3] = -1e4
    x[4] += 1e4
    x[5, [0, 3, 8]] = -math.inf
    x = x.float().double().requires_grad_()
    golden.put_case("softmax", {}, {"x": x}, F.softmax(x, dim=-1))

    for case, scale, offset in (("layer_norm", 1, 0), ("layer_norm_large", 1e4, 0), ("layer_norm_offset", 1, 1000),
                                ("layer_norm_tiny", 1e-3, 0)):
        x = (normal(5, D_MODEL) * scale + offset).float().double()
        if case == "layer_norm":
            x[4] = 3.0
        x.requires_grad_()
        weight = (1 + normal(D_MODEL, scale=0.2)).float().double().requires_grad_()
        bias = normal(D_MODEL, scale=0.2).requires_grad_()
        golden.put_case(case, {"eps": 1e-5}, {"x": x}, F.layer_norm(x, (D_MODEL,), weight, bias, 1e-5),
                        [("weight", weight), ("bias", bias)])

    for case, scale in (("cross_entropy", 1), ("cross_entropy_large", 1000)):
        values = (normal(6, SOURCE_VOCABULARY) * scale).float().double()
        targets = torch.randint(0, SOURCE_VOCABULARY, (6,))
        for suffix, smoothing in (("", 0.0), ("_smoothed", LABEL_SMOOTHING)):
            logits = values.clone().requires_grad_()
            loss = F.cross_entropy(logits, targets, label_smoothing=smoothing).reshape(1)
            golden.put_case(case + suffix, {"label_smoothing": smoothing}, {"logits": logits, "targets": targets}, loss,
                            upstream=torch.ones(1, dtype=torch.float64))

    golden.cases["positional_encoding"] = {}
    golden.put("positional_encoding/output", sinusoids(12, D_MODEL))
    return golden


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)

    def make(seed, name, maker, *arguments):  # a seed per file: a change of one leaves the others as they are
        torch.manual_seed(seed)
        made = maker(*arguments)
        golden, rest = made if isinstance(made, tuple) else (made, None)
        golden.save(folder / f"{name}.safetensors")
        return rest

    make(1, "attention", make_attention)
    make(2, "encoder_layer", make_encoder_layer)
    make(3, "decoder_layer", make_decoder_layer)
    shared_state = make(4, "transformer", make_transformer)
    make(5, "adam", make_adam, shared_state)
    make(6, "ops", make_ops)


if __name__ == "__main__":
    main()
