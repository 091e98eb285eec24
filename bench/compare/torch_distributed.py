#!/usr/bin/env python3
"""PyTorch's side of distributed.py: one of the processes that train a Transformer together, or the only one.

    torch_distributed.py FILE RANK

FILE is JSON: `config` and `weights` of the model; `batches`, of which process r of P takes r, r + P, r + 2 P, ...;
`processes` (P); `uncounted`, steps before those that are timed; for more than one process `address` and `port` of the
first, the `interface` that messages go over, and `bucket_mb`, the size of DistributedDataParallel's buckets (null: its
default). With `runs` and `meeting`, a folder, it waits there for as many runs of one process before the first step.
Prints begin and end of each counted step by the machine's monotonic clock, and the losses of this process's batches in
these steps, each times the process's weight (see weights_of).
"""

import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch.nn.parallel import DistributedDataParallel

from torch_worker import Batch, Model, adam, smoothed_loss


def weights_of(step):
    """Of the losses of a step's batches, one a process, such that their mean is the mean over all targets:
    DistributedDataParallel takes the mean over processes, whatever the number of their targets."""
    targets = [sum(map(len, lists["target_output"])) for lists in step]
    return [count * len(step) / sum(targets) for count in targets]


def meet(folder, runs):
    """Returns when as many processes have come here."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < runs:
        time.sleep(0.001)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    rank, processes = int(sys.argv[2]), task["processes"]
    torch.set_num_threads(1)
    steps = [task["batches"][i:i + processes] for i in range(0, len(task["batches"]), processes)]
    weights = [weights_of(step)[rank] for step in steps]
    batches = [Batch(step[rank]) for step in steps]
    longest = max(len(ids) for lists in task["batches"] for key in ("source", "target_input") for ids in lists[key])
    model = Model(task["config"], longest)
    model.load_state_dict(load_file(task["weights"]))
    model.train()
    torch.manual_seed(1 + rank)
    if processes > 1:
        os.environ["GLOO_SOCKET_IFNAME"] = task["interface"]
        dist.init_process_group("gloo", init_method=f"tcp://{task['address']}:{task['port']}", rank=rank,
                                world_size=processes)
        buckets = {} if task["bucket_mb"] is None else {"bucket_cap_mb": task["bucket_mb"]}
        # The sums are not copied out of the buckets, and buffers that never change need not travel.
        model = DistributedDataParallel(model, gradient_as_bucket_view=True, broadcast_buffers=False, **buckets)
    optimizer = adam(model)
    if "meeting" in task:
        meet(Path(task["meeting"]), task["runs"])
    times, losses = [], []
    for weight, batch in zip(weights, batches):
        begin = time.monotonic()
        loss = smoothed_loss(model(batch), batch.labels) * weight
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        times.append((begin, time.monotonic()))
    print(json.dumps({"steps": times[task["uncounted"]:], "losses": losses[task["uncounted"]:]}), flush=True)
    if processes > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
