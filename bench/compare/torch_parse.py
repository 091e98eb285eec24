"""PyTorch's side of parsing.py: the parsers of examples/parse, with the names that their parameters have in rapt."""

import dataclasses
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from common import progress
from torch_worker import pad, padding_of, sinusoids
from treebank import BEGIN, END, ParserFile, SequenceExamples, SpanExamples

IGNORED = -100  # target of a padded position
GROUPS = 4  # of like length, in which a batch of sentences is encoded and parsed, so that little of it is padding
LONGEST = 2048  # tokens of a sequence


def xavier(module, width):
    """Weights and biases as rapt's models begin with."""
    for name, parameter in module.named_parameters():
        if "embedding" in name:
            torch.nn.init.normal_(parameter, std=width**-0.5)
        elif parameter.dim() > 1:
            torch.nn.init.xavier_uniform_(parameter)
        elif name.endswith("bias"):
            torch.nn.init.zeros_(parameter)


class SpanParser(torch.nn.Module):
    NAMES = {"before.weight": "forward.weight", "after.weight": "backward.weight"}  # `forward` is a function here

    def __init__(self, config):
        super().__init__()
        self.width, self.tags = config["d_model"], len(config["tags"])
        if config["norm"] != "pre" or len({config[name] for name in
                                           ("dropout", "attention_dropout", "activation_dropout")}) > 1:
            raise ValueError(f"not the encoder of examples/parse: {config}")
        self.embedding = torch.nn.Embedding(config["vocabulary"], self.width)
        if config["reads_tags"]:
            self.tag_embedding = torch.nn.Embedding(self.tags + 1, self.width)
        layer = torch.nn.TransformerEncoderLayer(self.width, config["heads"], config["d_ff"], config["dropout"],
                                                 config["activation"], batch_first=True, norm_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, config["layers"], torch.nn.LayerNorm(self.width),
                                                   enable_nested_tensor=False)
        self.before = torch.nn.Linear(self.width, config["d_span"], bias=False)
        self.after = torch.nn.Linear(self.width, config["d_span"], bias=False)
        self.span_norm = torch.nn.LayerNorm(config["d_span"])
        self.labels = torch.nn.Linear(config["d_span"], len(config["labels"]))
        self.tagger = None if config["reads_tags"] else torch.nn.Linear(self.width, self.tags)
        self.dropout = torch.nn.Dropout(config["dropout"])
        self.register_buffer("positions", sinusoids(LONGEST, self.width), persistent=False)
        self.chart_seconds = 0.0  # of the searches for trees since the last validation
        xavier(self, self.width)

    def hidden(self, batch):
        """The encoder output, sentence after sentence.   [N, D]"""
        order = sorted(range(len(batch)), key=lambda i: len(batch[i][0]))
        rows = [None] * len(batch)
        for group in np.array_split(order, min(GROUPS, len(batch))):
            ids = [batch[i][0] for i in group]
            x = self.embedding(pad(ids, 0))
            if self.tagger is None:
                x = x + self.tag_embedding(pad([batch[i][3] for i in group], 0))
            x = self.dropout(x * math.sqrt(self.width) + self.positions[:x.shape[1]])
            padding = padding_of(ids)
            y = self.encoder(x, src_key_padding_mask=padding if padding.any() else None)
            for row, i in zip(y, group):
                rows[i] = row[:len(batch[i][0])]
        return torch.cat(rows)

    def loss(self, batch):
        """The mean of the sentences' max-margin losses, and of the sums of the cross-entropies of their tags."""
        hidden = self.hidden(batch)
        starts = np.cumsum([0, *(len(ids) for ids, *_ in batch)])
        posts = torch.from_numpy(np.concatenate([start + example[1] for start, example in zip(starts, batch)]))
        vectors = self.before(hidden[posts - 1]) + self.after(hidden[posts])  # of fenceposts
        starts = np.cumsum([0, *(len(example[1]) for example in batch)])
        pairs = [np.triu_indices(len(example[1]), 1) for example in batch]
        begins, ends = (torch.from_numpy(np.concatenate([start + pair[side] for start, pair in zip(starts, pairs)]))
                        for side in (0, 1))
        scores = self.labels(self.span_norm(vectors[ends] - vectors[begins]).relu())  # [S, L]
        loss = margin_loss(scores, [len(example[1]) - 1 for example in batch],
                           torch.from_numpy(np.concatenate([example[4] for example in batch])), self.best_trees)
        if self.tagger is not None:
            is_last = np.ones(len(posts), dtype=bool)
            is_last[starts[:-1]] = False  # the fencepost before a sentence is behind no word
            tags = torch.from_numpy(np.concatenate([example[2] for example in batch]))
            loss = loss + F.cross_entropy(self.tagger(hidden[posts[is_last] - 1]), tags, reduction="sum")
        return loss / len(batch)

    def best_trees(self, scores, lengths):
        start = time.perf_counter()
        spans = best_trees(scores, lengths)
        self.chart_seconds += time.perf_counter() - start
        return spans


def margin_loss(scores, lengths, gold, search):
    """Sum of the sentences' max_T [s(T) + D(T, T*)] - s(T*) (Kitaev and Klein 2018, equation 4).   scores [S, L]"""
    rows = torch.arange(len(gold))
    labelled = gold >= 0
    with torch.no_grad():
        raised = scores + 1
        raised[rows[labelled], gold[labelled]] -= 1
        best, label = raised.max(1)
        nothing = labelled.to(best.dtype)  # what a span without a label adds
        whole = np.cumsum([0, *(n * (n + 1) // 2 for n in lengths[:-1])]) + np.array(lengths) - 1
        nothing[whole] = -math.inf
        label[best <= nothing] = -1
        best = torch.maximum(best, nothing)
        spans = torch.from_numpy(search(best.numpy(), lengths))
        margin = (label[spans] != gold[spans]).sum()
        spans = spans[label[spans] >= 0]
    return scores[spans, label[spans]].sum() + margin - scores[rows[labelled], gold[labelled]].sum()


def best_trees(scores, lengths):
    """The rows of the spans in the binary trees with the highest sums of scores, by CKY over sentences of like length
    at once: a chart is as large as that of the longest of its group."""
    firsts = np.cumsum([0, *(n * (n + 1) // 2 for n in lengths)])
    found = [None] * len(lengths)
    for group in np.array_split(np.argsort(lengths, kind="stable"), min(GROUPS, len(lengths))):
        rows = np.concatenate([np.arange(firsts[i], firsts[i + 1]) for i in group])
        for i, spans in zip(group, best_trees_at_once(scores[rows], [lengths[i] for i in group])):
            found[i] = firsts[i] + spans
    return np.concatenate(found)


def best_trees_at_once(scores, lengths):
    """Of each sentence the spans of its best tree, as their places among all of its spans."""
    count, longest = len(lengths), max(lengths)
    firsts = np.cumsum([0, *(n * (n + 1) // 2 for n in lengths)])
    cells = np.zeros((count, longest + 1, longest + 1), dtype=scores.dtype)
    for s, n in enumerate(lengths):
        cells[s][np.triu_indices(n + 1, 1)[0], np.triu_indices(n + 1, 1)[1]] = scores[firsts[s]:firsts[s + 1]]
    by_begin = np.zeros_like(cells)  # [sentence, begin, length]
    by_end = np.zeros_like(cells)  # [sentence, end, length]
    split = np.zeros(cells.shape, dtype=np.int32)
    for length in range(1, longest + 1):
        begins = np.arange(longest - length + 1)
        value = cells[:, begins, begins + length]
        if length > 1:
            parts = by_begin[:, :len(begins), 1:length] + by_end[:, length:, length - 1:0:-1]
            best = parts.argmax(-1)
            value = value + np.take_along_axis(parts, best[..., None], -1)[..., 0]
            split[:, :len(begins), length] = best + 1
        by_begin[:, :len(begins), length] = by_end[:, length:, length] = value
    found = []
    for s, n in enumerate(lengths):
        places, pending = [], [(0, n)]
        while pending:
            begin, end = pending.pop()
            places.append(begin * n - begin * (begin - 1) // 2 + end - begin - 1)
            if end - begin > 1:
                middle = begin + split[s, begin, end - begin]
                pending += [(middle, end), (begin, middle)]
        found.append(np.array(places))
    return found


class SequenceParser(torch.nn.Module):
    NAMES = {}
    chart_seconds = 0.0  # it searches for none

    def __init__(self, config):
        super().__init__()
        self.width = config["d_model"]
        if config["norm"] != "pre" or config["share_embeddings"] or not config["share_output"] or config[
                "attention_dropout"] or config["activation_dropout"]:
            raise ValueError(f"not the Transformer of examples/parse: {config}")
        sizes = (self.width, config["heads"], config["d_ff"], config["dropout"], config["activation"])
        options = {"batch_first": True, "norm_first": True}
        self.source_embedding = torch.nn.Embedding(config["source_vocabulary"], self.width)
        self.target_embedding = torch.nn.Embedding(config["target_vocabulary"], self.width)
        self.encoder = torch.nn.TransformerEncoder(
            torch.nn.TransformerEncoderLayer(*sizes, **options), config["encoder_layers"],
            torch.nn.LayerNorm(self.width), enable_nested_tensor=False)
        self.decoder = torch.nn.TransformerDecoder(
            torch.nn.TransformerDecoderLayer(*sizes, **options), config["decoder_layers"],
            torch.nn.LayerNorm(self.width))
        for layer in (*self.encoder.layers, *self.decoder.layers):
            layer.dropout.p = 0  # sublayers' outputs are dropped out alone, as in the paper
        for module in self.modules():
            if isinstance(module, torch.nn.MultiheadAttention):
                module.dropout = 0
        self.dropout = torch.nn.Dropout(config["dropout"])
        self.register_buffer("positions", sinusoids(LONGEST, self.width), persistent=False)
        xavier(self, self.width)

    def embed(self, table, ids):
        return self.dropout(table(ids) * math.sqrt(self.width) + self.positions[:ids.shape[1]])

    def loss(self, batch):
        """Mean cross-entropy of the symbols and the end, labels smoothed by 0.1."""
        sources = [ids + [END] for ids, _ in batch]
        inputs, outputs = pad([[BEGIN] + ids for _, ids in batch], 0), pad([ids + [END] for _, ids in batch], IGNORED)
        padding = padding_of(sources)
        padding = padding if padding.any() else None
        memory = self.encoder(self.embed(self.source_embedding, pad(sources, 0)), src_key_padding_mask=padding)
        causal = torch.ones(inputs.shape[1], inputs.shape[1], dtype=torch.bool).triu(1)
        hidden = self.decoder(self.embed(self.target_embedding, inputs), memory, tgt_mask=causal, tgt_is_causal=True,
                              memory_key_padding_mask=padding)
        exists = outputs != IGNORED
        return F.cross_entropy(F.linear(hidden[exists], self.target_embedding.weight), outputs[exists],
                               label_smoothing=0.1)


KINDS = {"span": (SpanParser, SpanExamples), "sequence": (SequenceParser, SequenceExamples)}


# Training -------------------------------------------------------------------------------------------------------------


def save_parser(model, file, path):
    """A parser's file of rapt with the metadata of another."""
    save_file({model.NAMES.get(name, name): value.contiguous() for name, value in model.state_dict().items()}, path,
              metadata=file.metadata)


def load_parser(model, path):
    tensors = load_file(path)
    model.load_state_dict({name: tensors[model.NAMES.get(name, name)] for name in model.state_dict()})


@dataclasses.dataclass
class State:
    """Where a training stands."""

    seconds: float = 0  # of steps
    step: int = 0
    epoch: int = -1
    batches: list = dataclasses.field(default_factory=list)  # of the epoch that are left
    warmed_up: float = 0  # the part of the training that warming up has taken
    curve: list = dataclasses.field(default_factory=list)  # minutes and F1 of validations
    best: float = -1  # F1
    best_file: str = ""  # in the training's folder
    intervals: list = dataclasses.field(default_factory=list)  # between validations: last step, steps, seconds
    load: list = dataclasses.field(default_factory=list)  # average of the last minute at validations
    charts: float = 0  # seconds of the search for trees, a part of `seconds`


class Training:
    """Of the parser that rapt.safetensors in `folder` tells, for so many seconds or steps. The version for which
    f1_of(file) is highest becomes torch.safetensors; each validation leaves a checkpoint, from which `run` goes on."""

    def __init__(self, folder, trees, f1_of, *, kind, batch, peak, warmup, validations, seconds=math.inf,
                 steps=math.inf):
        self.folder, self.f1_of, self.batch, self.peak, self.warmup = folder, f1_of, batch, peak, warmup
        self.validations, self.seconds, self.steps = validations, seconds, steps
        self.parser, self.checkpoint = folder / "torch.safetensors", folder / "torch.checkpoint"
        self.file = ParserFile(folder / "rapt.safetensors")
        torch.manual_seed(1)
        model, examples = KINDS[kind]
        self.model, self.examples = model(self.file.config), examples(trees, self.file)
        self.optimizer = torch.optim.Adam(self.model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True)
        self.state = State()

    def part(self):
        """How much of the training is done, from 0 to 1."""
        return max(self.state.seconds / self.seconds, self.state.step / self.steps)

    def rate(self):
        """rapt's CosineSchedule, by the part of the training: a linear warm-up, then half a cosine down to 0."""
        if self.state.step < self.warmup:
            return self.peak * (self.state.step + 1) / self.warmup
        after = (self.part() - self.state.warmed_up) / (1 - self.state.warmed_up)
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(1, after)))

    def next_batch(self):
        state = self.state
        if not state.batches:
            state.epoch += 1
            state.batches = self.examples.epoch(self.batch, np.random.default_rng([1, state.epoch]))
        return self.examples.batch(state.batches.pop())

    def step(self):
        start = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        loss = self.model.loss(self.next_batch())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.state.seconds += time.perf_counter() - start
        self.state.step += 1
        if self.state.step == self.warmup:
            self.state.warmed_up = min(self.part(), 0.99)

    def validate(self):
        state, last = self.state, self.folder / "torch.last.safetensors"
        steps, seconds = (sum(interval[i] for interval in state.intervals) for i in (1, 2))
        state.intervals.append((state.step, state.step - steps, state.seconds - seconds))
        state.load.append(os.getloadavg()[0])
        state.charts += self.model.chart_seconds
        self.model.chart_seconds = 0.0
        save_parser(self.model, self.file, last)
        f1 = self.f1_of(last)
        state.curve.append((state.seconds / 60, f1))
        if f1 > state.best:
            state.best, state.best_file = f1, f"torch.best.{len(state.curve)}.safetensors"
            last.replace(self.folder / state.best_file)
        progress(f"{self.folder.name}: PyTorch, step {state.step}, {state.seconds / 60:.1f} minutes: F1 {f1}")
        new = self.folder / "torch.checkpoint.new"
        torch.save({"state": dataclasses.asdict(state), "model": self.model.state_dict(),
                    "optimizer": self.optimizer.state_dict(), "random": torch.get_rng_state()}, new)
        new.replace(self.checkpoint)
        for file in self.folder.glob("torch.best.*.safetensors"):  # until now the checkpoint before named another
            if file.name != state.best_file:
                file.unlink()

    def run(self):
        """The state in the end."""
        if self.checkpoint.exists():
            kept = torch.load(self.checkpoint, weights_only=False)
            self.state = State(**kept["state"])
            self.model.load_state_dict(kept["model"])
            self.optimizer.load_state_dict(kept["optimizer"])
            torch.set_rng_state(kept["random"])
        for number in range(len(self.state.curve) + 1, self.validations + 1):
            while self.part() < number / self.validations:
                self.step()
            self.validate()
        if not self.parser.exists():
            (self.folder / self.state.best_file).replace(self.parser)
        return self.state
