#!/usr/bin/env python3
"""Predicts the time of training steps over 1 .. 1,024 machines from what measure.py has measured.

    python bench/scale/simulate.py bench/scale/measured.json OUT_FOLDER

Writes OUT_FOLDER/scaling.md, the tables, and OUT_FOLDER/scaling.svg, the picture. A machine is one process.

The model. P machines train S parameters in a step of G micro-batches, of which a machine has B = max(1, G / P). A step
takes

    T = max over machines of (the sum of B times c t_m) + (B - 1) a + X + n / P + u / P  with the optimizer in shards
                                                                        + n / P + u      without

where c is forward and backward of a micro-batch in the mean; t_m the tokens of micro-batch m as a multiple of their
mean, drawn from those of a corpus's batches, as machines wait for the largest; a the addition of all gradients to a
second set; n the norm; u the update. X is the exchange as GradientExchanger does it. The owner of a shard receives it
from all others and passes the sum on to all others, in groups of parameters of a bucket (4 MiB) or a little more, at
least of 16,384 elements a process, each group in buckets. With the optimizer in shards it passes on the parameters that
it has updated, after the update and for the whole model at once:

    X = p s + max(W, q s) + r l + h d + m o

    W      the sum over the K buckets of max(what a machine sends, what it receives) / bandwidth, in both directions:
           2 (P - 1) / P S words if all shards are equally large. As a group is cut at multiples of 16,384 elements, it
           is up to 2 (P - 1) times the bytes of the largest shards
    p, q   seconds of the processor for each of s bytes sent and as many received: copies and additions, during which
           the link is idle; TCP, which goes on while bytes are under way
    r      operations that follow one another: log2 P for the number of targets, and for each of the following
           ceil((P - 1) / 32), as messages are sent to at most 32 others at a time: agreement, norm, which gradients
           there are in each group, the K buckets of sums and of what comes back. From 64 processes on, pieces of up to
           32 KiB in the mean travel by recursive halving and doubling, in log2 P operations of one message each
    l      what an operation takes beyond its bytes, without the link
    h, d   trips through the link that follow one another, and the delay of one. An operation has one, or three where a
           message has more than 65,536 bytes: its beginning, the receiver's answer, the rest
    m      messages of a machine, at most P - 1 in each of what r lists
    o      seconds of the processor for each of them

d is measured: half of a round trip of one byte over the link, less half of one without a link's limit. p, q, l and o
are fitted to measured exchanges of two processes, over all links, and of two and four with many small buckets;
everything else that was measured is then compared with what the model says.

If communication is hidden, a group's exchange begins when backward has finished its gradients and the group before is
through. Backward, two thirds of c, finishes parameters from the last to the first, embeddings at its very end; time
goes by as the elements of the others do. What the exchange takes of the processors then slows backward down.
"""

import argparse
import dataclasses
import itertools
import json
import math
import pathlib
import statistics
import sys

import numpy as np

GRAIN = 16384  # kernels::kElementGrain: shards are cut at its multiples
AT_ONCE = 32  # detail::kMessagesAtOnce
EAGER = 65536  # bytes: Open MPI sends larger messages over TCP when the receiver has answered to their beginning
BUCKET = 2**22  # TrainerOptions::bucket_bytes
PRESETS = ("tiny", "small", "base", "big")
MACHINES = tuple(2**i for i in range(11))
TOKENS = {"weak": 4096, "strong": 512}  # of a micro-batch at most, source and target each
STRONG_MICRO_BATCHES = 1024
SLOW_LINK = "1000, 50"  # of measure.py: Mbit/s, microseconds
STEPS = 200  # simulated: their mean is reported
PEER = ((1200, 0.91, "weak"), (400, 0.65, "strong"))  # a Transformer over MPI on CPUs, arXiv 1905.04035


@dataclasses.dataclass
class Network:
    name: str
    bandwidth: float  # bytes a second that arrive
    delay: float  # seconds of a trip in one direction
    is_tcp: bool = True  # else the network takes bytes from memory and puts them there by itself


@dataclasses.dataclass
class Costs:
    """What is fitted: p, q, l and o of the formula."""

    per_byte: float
    per_byte_of_tcp: float
    per_operation: float
    per_message: float


@dataclasses.dataclass
class Work:
    """What one machine alone needs for a preset: all in seconds."""

    sizes: list  # of the parameters, in elements
    micro_batch: float  # forward and backward
    add: float
    norm: float
    update: float
    tokens: list  # of batches, as multiples of their mean


# 94 % of a rate arrive with frames of 1,500 bytes: 1,448 of 1,538.
NETWORKS = (Network("1 Gbit/s", 0.94 * 125e6, 100e-6), Network("10 Gbit/s", 0.94 * 1.25e9, 25e-6),
            Network("100 Gbit/s", 0.94 * 12.5e9, 10e-6),
            Network("100 Gbit/s RDMA", 0.94 * 12.5e9, 2e-6, is_tcp=False))


def shards(sizes, processes):
    """The elements of each process's shard, as GradientExchanger::divide cuts them."""
    total, start = sum(sizes), 0
    firsts = -(-np.arange(1, processes) * total // processes)
    shard = np.zeros(processes, dtype=np.int64)
    for count in sizes:
        inner = np.clip(-(-(firsts - start) // GRAIN) * GRAIN, 0, count)
        shard += np.diff(np.concatenate([[0], inner, [count]]))
        start += count
    return shard


@dataclasses.dataclass
class Traffic:
    """What one exchange moves: of the machine that has most of it."""

    groups: list = dataclasses.field(default_factory=list)  # the group of each bucket before the update
    buckets: list = dataclasses.field(default_factory=list)  # its bytes through the link, both ways at once
    gathered: float = 0  # bytes through the link after the update, if the optimizer is in shards
    sent: float = 0  # bytes
    operations: int = 0
    trips: int = 0  # through the link that follow one another
    messages: int = 0

    def bytes_through_link(self):
        return sum(self.buckets) + self.gathered


def groups_of(sizes, processes, bucket=BUCKET):
    """Parameters from the last to the first, in groups as GradientExchanger::make_groups has them."""
    least = max(bucket, 4 * GRAIN * processes)
    groups = []
    for count in reversed(sizes):
        if not groups or 4 * sum(groups[-1]) >= least:
            groups.append([])
        groups[-1].append(count)
    return groups


class Exchange:
    """Counts what an exchange moves, operation by operation, as the collectives do it."""

    def __init__(self, processes, bucket, halves):
        self.processes, self.bucket, self.halves = processes, bucket, halves
        self.traffic = Traffic()

    def takes_few_messages(self, size):
        """detail::takes_few_messages, of pieces of so many bytes together."""
        power_of_two = self.processes & (self.processes - 1) == 0
        return self.halves and power_of_two and self.processes >= 64 and size <= self.processes * 2**15

    def add(self, operations, messages, trips_each=1):
        self.traffic.operations += operations
        self.traffic.trips += trips_each * operations
        self.traffic.messages += messages

    def move(self, pieces):
        """Pieces of so many bytes, one a process, from their owners to all or from all to their owners; the bytes
        through the link of the machine that has most."""
        peers = self.processes - 1
        self.traffic.sent += peers / self.processes * float(pieces.sum())
        if self.takes_few_messages(pieces.sum()):
            most = 0
            for level in range(self.processes.bit_length() - 1):  # partners at the distances 1, 2, 4, ...
                blocks = pieces.reshape(-1, 2**level).sum(axis=1)
                most += int(blocks.max())
                self.add(1, 1, trips_of(int(blocks.max())))
            return most
        messages = int((pieces > 0).sum()) - (1 if pieces.min() > 0 else 0)
        self.add(math.ceil(peers / AT_ONCE), messages, trips_of(int(pieces.max())))
        return max(int(pieces.sum() - pieces.min()), peers * int(pieces.max()))

    def notes(self, size):
        """So many bytes of each process to all others; the link hardly notices."""
        self.move(np.full(self.processes, size))

    def buckets(self, shard, word):
        """The bytes through the link of each bucket of the elements in shards."""
        piece = max(1, self.bucket // word // self.processes)
        return [self.move(word * np.clip(shard - begin, 0, piece)) for begin in range(0, int(shard.max()), piece)]


def trips_of(size):
    """How often a message of so many bytes goes through the link."""
    return 1 if size <= EAGER else 3


def traffic(sizes, processes, bucket=BUCKET, word=4, sharded=False, halves=True, is_step=True):
    """Of gradients of `word` bytes. With the optimizer in shards, their sums stay with their owners, which pass on the
    parameters in float32. A step also adds up the number of targets."""
    if processes == 1:
        return Traffic()
    exchange = Exchange(processes, bucket, halves)
    moved = exchange.traffic
    if is_step:
        levels = math.ceil(math.log2(processes))
        exchange.add(levels, levels)
    exchange.notes(32)  # agreement
    whole = np.zeros(processes, dtype=np.int64)
    for number, group in enumerate(groups_of(sizes, processes, bucket)):
        exchange.notes(len(group))  # which of the parameters have gradients
        shard = shards(group, processes)
        whole += shard
        buckets = exchange.buckets(shard, word)
        if not sharded:
            buckets = [there + back for there, back in zip(buckets, exchange.buckets(shard, word))]
        moved.groups += [number] * len(buckets)
        moved.buckets += buckets
    exchange.notes(8 * sum(-(-count // GRAIN) for count in sizes) // processes)  # the sums of squares of the norm
    if sharded:
        moved.gathered = sum(exchange.buckets(whole, 4))
    return moved


def exchange_parts(moved, network, costs, share=1):
    """Seconds of the parts of X. `share`: how many processes a processor has to serve."""
    wire = moved.bytes_through_link() / network.bandwidth
    tcp = moved.sent * costs.per_byte_of_tcp * share if network.is_tcp else 0
    return {"bandwidth": wire if wire > tcp else 0,
            "processor": moved.sent * costs.per_byte * share + (tcp if wire <= tcp else 0),
            "latency": moved.operations * costs.per_operation + moved.trips * network.delay,
            "messages": moved.messages * costs.per_message * share}


def seconds_before_end(sizes, elements, backward):
    """How long before the end of backward the last so many elements of a model have their gradients: the embeddings,
    the largest parameter, at its end, the others evenly before."""
    return backward * max(0.0, 1 - elements / (sum(sizes) - max(sizes)))


def hide(sizes, processes, moved, network, costs, micro_batch, processors, bucket=BUCKET, share=1):
    """The parts of an exchange of which as much is left as lasts beyond backward, and what it takes of backward."""
    parts = exchange_parts(moved, network, costs, share)
    work = moved.sent * (costs.per_byte + (costs.per_byte_of_tcp if network.is_tcp else 0))
    # Times count from the end of backward. With the optimizer in shards, parameters are gathered after the update.
    backward, end, total = 2 / 3 * micro_batch, -math.inf, sum(parts.values())
    elements = np.cumsum([sum(group) for group in groups_of(sizes, processes, bucket)])
    for group, part in zip(moved.groups, moved.buckets):
        end = max(end, -seconds_before_end(sizes, elements[group], backward))
        end += total * part / moved.bytes_through_link()
    left = max(end, 0.0) / total + moved.gathered / moved.bytes_through_link()
    return {name: value * left for name, value in parts.items()} | {
        "processor": parts["processor"] * left + work * share * (1 - left) / processors}


def step_time(work, processes, micro_batches, network, costs, sharded=True, halves=True, hidden=True):
    """Mean seconds of a step, and of its parts."""
    block = 1
    while block * processes < micro_batches:
        block *= 2
    contributors = micro_batches // block
    draws = np.random.default_rng(1).choice(work.tokens, size=(STEPS, contributors, block))
    slowest = work.micro_batch * float(draws.sum(axis=2).max(axis=1).mean())
    mean = work.micro_batch * block * float(np.mean(work.tokens))
    parts = {"compute": mean, "waiting": slowest - mean, "tree": (block - 1) * work.add,
             "update": work.norm / processes + work.update / (processes if sharded else 1)}
    if processes > 1:
        moved = traffic(work.sizes, processes, sharded=sharded, halves=halves)
        if hidden:
            parts |= hide(work.sizes, processes, moved, network, costs, work.micro_batch, 2)
        else:
            parts |= exchange_parts(moved, network, costs)
    return sum(parts.values()), parts


# What was measured ---------------------------------------------------------------------------------------------------


class Measured:
    def __init__(self, file):
        everything = json.loads(file.read_text())
        self.processors, self.cases = everything["processors"], everything["cases"]
        self.sizes = {preset: self.cases[f"sizes {preset}"]["answer"]["sizes"] for preset in PRESETS
                      if f"sizes {preset}" in self.cases}
        if "batch_tokens" not in everything:
            sys.exit(f"simulate.py: {file} does not say how much batches differ: measure.py notes it with --corpus")
        self.batch_tokens = everything["batch_tokens"]  # of a corpus, source and target, if each may have 2,048

    def seconds(self, name, *keys):
        """The median over steps of the sum of these, for the slowest rank of each step."""
        ranks = self.cases[name]["answer"]["ranks"]
        steps = zip(*([sum(values) for values in zip(*(rank[key] for key in keys))] for rank in ranks))
        return statistics.median(max(step) for step in steps)

    def work(self, preset, limit):
        """One machine's, of two threads, for batches of at most so many tokens on each side: a line through the
        measured seconds over tokens of all batches."""
        names = [f"compute {preset}, 2 threads, {count} tokens" for count in (512, 2048)]
        ranks = [self.cases[name]["answer"]["ranks"][0] for name in names]
        tokens, seconds = (np.concatenate([rank[key] for rank in ranks]) for key in ("tokens", "forward_backward"))
        slope, offset = np.polyfit(tokens, seconds, 1)
        mean = statistics.mean(self.batch_tokens)
        return Work(self.sizes[preset], float(offset + slope * mean * limit / 2048), self.seconds(names[1], "add"),
                    self.seconds(names[1], "norm"), self.seconds(names[1], "update"),
                    [count / mean for count in self.batch_tokens])

    def link(self, case):
        name = case["link"]
        if name == "none":
            return Network(name, math.inf, 0)
        if name.startswith("tbf"):  # frames of 1,500 bytes
            return Network(name, 1448 / 1514 * 125e3 * float(name.split()[1]), self.delay(name))
        return Network(name, 125e3 * float(name.split(",")[0]), self.delay(name))

    def delay(self, link):
        """Seconds of a small message beyond what it takes without a limit."""
        return self.one_way(link) - self.one_way("none")

    def one_way(self, link):
        """Seconds of a small message: half of a round trip, or half of an agreement, as the process that leaves the
        barrier before it first waits for the other, too."""
        trips = self.trips(link)
        if not trips:
            sys.exit(f"simulate.py: nothing was measured from which the delay of the link {link} follows")
        return min(trips) / 2

    def trips(self, link):
        """Seconds of a small message there and back, if any were measured over the link."""
        if f"round trip, {link}" in self.cases:
            return [self.seconds(f"round trip, {link}", "round_trip")]
        return [self.seconds(name, "agree") for name, case in self.cases.items()
                if name.startswith("exchange") and case["link"] == link and case["processes"] == 2]

    def moved(self, case):
        task = case["answer"]["task"]
        return traffic(self.sizes[task["preset"]], case["processes"], task["bucket_bytes"],
                       2 if task["exchange"] == "bfloat16" else 4, task["shard_optimizer"],
                       is_step=task["task"] == "train")

    def share(self, case):
        return max(1.0, case["processes"] / self.processors)


def is_fitted(name):
    return name.startswith("exchange") and (", 2 processes" in name or ", 4 processes, none, small" in name)


def fit(measured):
    """Costs with the least relative errors, none of them negative."""
    rows, rest = [], []
    for name, case in measured.cases.items():
        if not is_fitted(name):
            continue
        moved, link, share = measured.moved(case), measured.link(case), measured.share(case)
        seconds = measured.seconds(name, "agree", "add_up", "norm")
        wire = moved.bytes_through_link() / link.bandwidth  # which takes longer than TCP wherever the link has a limit
        rows.append([moved.sent * share / seconds, 0 if wire else moved.sent * share / seconds,
                     moved.operations / seconds, moved.messages * share / seconds])
        rest.append((seconds - wire - moved.trips * link.delay) / seconds)
    rows, rest, kept = np.array(rows), np.array(rest), [0, 1, 2, 3]
    while True:
        found, *_ = np.linalg.lstsq(rows[:, kept], rest, rcond=None)
        if min(found) >= 0 or len(kept) == 1:
            break
        kept.remove(kept[int(np.argmin(found))])
    values = [0.0, 0.0, 0.0, 0.0]
    for i, value in zip(kept, found):
        values[i] = max(0.0, float(value))
    return Costs(*values)


def comparisons(measured, costs):
    """(name, measured seconds, predicted seconds) of what was not fitted. The computation of a training step is that of
    the run with the same processes and no limit of the link, where there is one."""
    for name, case in measured.cases.items():
        link, share = measured.link(case), measured.share(case)
        if name.startswith("exchange") and not is_fitted(name):
            predicted = sum(exchange_parts(measured.moved(case), link, costs, share).values())
            yield name, measured.seconds(name, "agree", "add_up", "norm"), predicted
        elif name.startswith("train") and case["link"] != "none":
            task = case["answer"]["task"]
            free = f"train {task['preset']}, {case['processes']} processes, none"
            if free not in measured.cases:
                continue
            reference = measured.cases[free]
            exchange = exchange_parts(measured.moved(case), link, costs, share)
            without = exchange_parts(measured.moved(reference), measured.link(reference), costs, share)
            computation = measured.seconds(free, "step") - sum(without.values())
            if task["overlap"]:
                exchange = hide(measured.sizes[task["preset"]], case["processes"], measured.moved(case), link, costs,
                                computation, 1, task["bucket_bytes"], share)
            yield name, measured.seconds(name, "step"), computation + sum(exchange.values())


# Tables and picture --------------------------------------------------------------------------------------------------

WHAT_LIMITS = {"waiting": "waiting for the largest batch", "tree": "additions", "update": "update",
               "bandwidth": "bandwidth", "processor": "copies, TCP", "latency": "latency", "messages": "messages"}


def faster(work, compute, memory):
    """A machine that computes so many times as fast, and whose memory is so many times as fast."""
    return dataclasses.replace(work, micro_batch=work.micro_batch / compute, add=work.add / memory,
                               norm=work.norm / memory, update=work.update / memory)


def efficiencies(work, kind, network, costs, **options):
    """[(machines, efficiency, parts of the step)]"""
    micro_batches = {"weak": lambda p: p, "strong": lambda p: STRONG_MICRO_BATCHES}[kind]
    alone, _ = step_time(work, 1, micro_batches(1), network, costs)
    result = []
    for machines in MACHINES:
        seconds, parts = step_time(work, machines, micro_batches(machines), network, costs, **options)
        ideal = alone if kind == "weak" else alone / machines
        result.append((machines, ideal / seconds, parts))
    return result


def limit(parts):
    name = max((part for part in parts if part != "compute"), key=parts.get)
    return f"{WHAT_LIMITS[name]} ({parts[name] / sum(parts.values()):.0%})"


def scaling_table(works, costs):
    """`works`: of each kind of scaling, by preset."""
    shown = (16, 64, 256, 1024)
    columns = [name for kind in works for name in (*(f"{kind}: {p:,}" for p in shown), "most at 1,024")]
    lines = ["| preset | network | " + " | ".join([*columns, "direct", "not hidden"]) + " |",
             "|---|---|" + ("---:|" * len(shown) + "---|") * len(works) + "---:|---:|"]
    for preset in PRESETS:
        for network in NETWORKS:
            cells, direct, not_hidden = [], [], []
            for kind in works:
                work = works[kind][preset]
                found = {p: (efficiency, parts) for p, efficiency, parts in efficiencies(work, kind, network, costs)}
                cells += [*(f"{found[p][0]:.0%}" for p in shown), limit(found[1024][1])]
                direct.append(f"{efficiencies(work, kind, network, costs, halves=False)[-1][1]:.0%}")
                not_hidden.append(f"{efficiencies(work, kind, network, costs, hidden=False)[-1][1]:.0%}")
            cells = [preset, network.name, *cells, ", ".join(direct), ", ".join(not_hidden)]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def slow_links(works, costs, delay):
    """A sentence about strong scaling at the largest number of machines if trips took as long as over a link."""
    fast = NETWORKS[2]
    parts = []
    for preset, work in works.items():
        usual, slow = (efficiencies(work, "strong", network, costs)[-1][1]
                       for network in (fast, dataclasses.replace(fast, delay=delay)))
        parts.append(f"{preset} {slow:.0%} in place of {usual:.0%}")
    return [f"Strong scaling at {MACHINES[-1]:,} machines over {fast.name} with a delay of {1e3 * delay:.2f} ms: "
            f"{', '.join(parts)}."]


COLORS = {"tiny": "#999999", "small": "#e69f00", "base": "#0072b2", "big": "#009e73"}


def picture(curves):
    """SVG: `curves` are (kind, network, preset, is_dashed, points)."""
    width, height, left, top, gap = 210, 170, 46, 56, 22
    columns, rows = [network.name for network in NETWORKS], ["weak", "strong"]
    size = f'width="{left + len(NETWORKS) * (width + gap)}" height="{top + 2 * (height + 50)}"'
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>']

    def text(x, y, words, more=""):
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" {more}>{words}</text>')

    for i, preset in enumerate(COLORS):
        x = left + 90 * i
        out.append(f'<line x1="{x}" y1="14" x2="{x + 24}" y2="14" stroke="{COLORS[preset]}" stroke-width="2"/>')
        text(x + 30, 18, preset)
    text(left + 370, 18, "solid: this machine; dashed: 16 times as fast; ×: arXiv 1905.04035")
    places = {}
    for row, kind in enumerate(rows):
        for column, network in enumerate(columns):
            x0, y0 = left + column * (width + gap), top + row * (height + 50)

            def place(machines, efficiency, x0=x0, y0=y0):
                return x0 + width * math.log2(machines) / 10.5, y0 + height * (1 - efficiency)

            places[kind, network] = place
            text(x0, y0 - 8, f"{kind} scaling, {network}", 'font-weight="bold"')
            for percent in range(0, 101, 25):
                _, y = place(1, percent / 100)
                out.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x0 + width}" y2="{y:.1f}" stroke="#dddddd"/>')
                if column == 0:
                    text(x0 - 6, y + 4, f"{percent} %", 'text-anchor="end"')
            for machines in MACHINES[::2]:
                text(place(machines, 0)[0], y0 + height + 14, f"{machines:,}", 'text-anchor="middle"')
            for machines, efficiency, peer in PEER:
                if peer == kind:
                    x, y = place(machines, efficiency)
                    text(x, y + 5, "×", 'text-anchor="middle" font-size="16"')
    for kind, network, preset, is_dashed, points in curves:
        place = places[kind, network]
        way = " ".join("{:.1f},{:.1f}".format(*place(machines, efficiency)) for machines, efficiency in points)
        dash = ' stroke-dasharray="4 3"' if is_dashed else ""
        out.append(f'<polyline points="{way}" fill="none" stroke="{COLORS[preset]}" stroke-width="1.8"{dash}/>')
    text(left, top + 2 * (height + 50) - 8, "machines")
    return "\n".join([*out, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Predicts training steps over many machines.")
    parser.add_argument("measured", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path, help="the folder of the tables and the picture")
    arguments = parser.parse_args()
    measured = Measured(arguments.measured)
    costs = fit(measured)
    lines = ["## The model beside what was measured", "",
             f"Fitted: {1e9 * costs.per_byte:.2f} and {1e9 * costs.per_byte_of_tcp:.2f} ns a byte, "
             f"{1e6 * costs.per_operation:.0f} us an operation, {1e6 * costs.per_message:.1f} us a message.", "",
             "| run | measured | predicted | error |", "|---|---:|---:|---:|"]
    errors = []
    for name, seconds, predicted in comparisons(measured, costs):
        errors.append(predicted / seconds - 1)
        lines.append(f"| {name} | {1e3 * seconds:.0f} ms | {1e3 * predicted:.0f} ms | {errors[-1]:+.0%} |")
    if errors:
        sizes = [abs(error) for error in errors]
        lines += ["", f"Of {len(errors)} runs that were not fitted, half are predicted within "
                  f"{statistics.median(sizes):.0%}, nine tenths within {np.quantile(sizes, 0.9):.0%}; "
                  f"the largest error is {max(sizes):.0%}.", ""]

    curves = []
    for title, compute, memory in (("machines as this one", 1, 1),
                                   ("machines 16 times as fast, with memory 4 times as fast", 16, 4)):
        works = {kind: {preset: faster(measured.work(preset, tokens), compute, memory) for preset in PRESETS}
                 for kind, tokens in TOKENS.items()}
        lines += [f"## Efficiency on {title}", "", *scaling_table(works, costs), "",
                  *(slow_links(works["strong"], costs, measured.delay(SLOW_LINK)) if measured.trips(SLOW_LINK) else ()),
                  ""]
        for kind, preset, network in itertools.product(works, PRESETS, NETWORKS):
            points = [(p, efficiency) for p, efficiency, _ in efficiencies(works[kind][preset], kind, network, costs)]
            curves.append((kind, network.name, preset, compute > 1, points))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "scaling.md").write_text("\n".join(lines))
    (arguments.out / "scaling.svg").write_text(picture(curves))


if __name__ == "__main__":
    main()
