"""Short trainings of the examples, on generated data, for tests that compare what several runs of them write."""

import json
import os
import pathlib
import re
import struct

RUN = ("--folder", "run", "--checkpoint-every", 4, "--log-every", 1)
# Each option has a value and can be given once.
EXAMPLES = {
    "gpt": ("--steps", 24, "--warmup", 4, "--width", 32, "--layers", 1, "--context", 16, "--batch", 2, "--dropout", 0.1,
            "--sample", 20, "--model", "model", "--micro-batches", 4, *RUN),
    "vit": ("--epochs", 1, "--image", "image.png", "--batch", 128, "--width", 16, "--layers", 1, "--heads", 1,
            "--hidden", 16, "--dropout", 0.1, "--patch", 14, "--model", "model", "--micro-batches", 4, *RUN),
    "translate train": ("--source", "../source.txt", "--target", "../target.txt", "--hold-out", 20,
                        "--model", "model.safetensors", "--steps", 20, "--warmup", 10, "--vocabulary", 80,
                        "--tokens", 60, "--validate-every", 10, "--validate-by", "bleu", "--average", 2,
                        "--moving-average", 0.9, "--clip", 1, "--checkpoint-every", 4, "--log-every", 1,
                        "--folder", "run", "--micro-batches", 4),
    "finetune": ("--model", "../classes", "--train", "../train.tsv", "--validation", "../train.tsv", "--batch", 4,
                 "--epochs", 10, "--learning-rate", 1e-3, "--out", "out", "--micro-batches", 4, *RUN),
}
ENVIRONMENT = {"RAPT_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}


def write_corpus(folder):
    """source.txt and target.txt, which the translator of EXAMPLES learns from in a folder beside them."""
    words = [[("alpha beta gamma delta epsilon zeta eta theta".split())[(i * i + 3 * k) % 8] for k in range(1 + i % 5)]
             for i in range(400)]
    for name, change in ("source", str), ("target", str.upper):
        (folder / f"{name}.txt").write_text("".join(change(f"{' '.join(w)} {i}") + "\n" for i, w in enumerate(words)))


def example_command(programs, example, *more):
    """The command of an example in the folder `programs`; `more` goes before the options of EXAMPLES."""
    name, *subcommand = example.split()
    options = EXAMPLES.get(example, ())
    kept = [part for pair in zip(options[::2], options[1::2]) if pair[0] not in more for part in pair]
    return [str(programs / name), *subcommand, *map(str, kept), *map(str, more)]


def checkpoint_step(folder):
    """Of the whole checkpoint in the folder of a job; 0: there is none."""
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return 0
    data = path.read_bytes()
    header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
    return json.loads(header["__metadata__"]["trainer"])["steps"]


def losses(folder):
    """The entries of the log without times, and without the first one of each start."""
    entries = [json.loads(line) for line in (folder / "run/log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in entry.items() if not key.endswith(("seconds", "_per_second"))}
            for entry in entries if "rapt" not in entry]


def results(folder):
    """The files of a run but for times."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}
    return files | {"log": losses(folder)}


def ranks(programs, folder):
    """The process numbers of a run of one of the programs in a folder, by rank."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if pathlib.Path(os.readlink(path / "cwd")) != folder.resolve():
                continue
            if pathlib.Path(os.readlink(path / "exe")).parent != programs.resolve():
                continue
            rank = re.search(rb"(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)", (path / "environ").read_bytes())
        except OSError:
            continue
        if rank:
            found[int(rank[1])] = int(path.name)
    return found
