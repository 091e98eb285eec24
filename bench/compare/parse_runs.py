"""What parsing.py knows of its runs without PyTorch: whose folder it is, how rapt trains, what rapt's log says."""

import hashlib
import json
import statistics

PACE = 0.2  # the part of a training, at its beginning and at its end, whose pace is told


class OtherRun(Exception):
    """A folder holds the results of a run with other settings."""


def fingerprint(path):
    """Size and hash of a file."""
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def claim(folder, made):
    """Writes into a folder what its results are made of, before there are any; OtherRun if they are of something else.
    Results of an unknown make are those of another run, too."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "made.json"
    made = json.loads(json.dumps(made))  # as it is read again
    if not file.exists():
        new = folder / f"{file.name}.new"
        if any(other != new for other in folder.iterdir()):
            raise OtherRun(f"{folder} is not empty and has no {file.name}: remove it, or take another folder")
        new.write_text(json.dumps(made), encoding="utf-8")
        new.replace(file)
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    differing = sorted(key for key in before.keys() | made.keys() if before.get(key) != made.get(key))
    if differing:
        values = "; ".join(f"{key}: {before.get(key)}, now {made.get(key)}" for key in differing)
        raise OtherRun(f"{folder} was made with other settings: remove it, or take another folder ({values})")


def flags_of(flags):
    return [word for pair in flags.items() for word in pair]


def train_arguments(flags, files, parser, run):
    """Of `parse`. Checkpoints are written where validations are, so that neither is between lines of the log whose
    seconds are counted."""
    return ["train", "--trees", files["train"], "--validation", files["dev"], "--parser", parser, "--folder", run,
            *flags_of(flags), "--checkpoint-every", flags["--validate-every"],
            *(["--resume"] if (run / "checkpoint.safetensors").exists() else [])]


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def intervals(log):
    """(last step, steps, seconds) between lines of the log without a validation or a new start between them."""
    found, before = [], None
    for entry in log:
        if "seconds" not in entry:
            before = None
            continue
        if before is not None:
            found.append((entry["step"], entry["step"] - before["step"], entry["seconds"] - before["seconds"]))
        before = entry
    return found


def seconds_per_step(log):
    counted = intervals(log)
    return sum(seconds for *_, seconds in counted) / sum(steps for _, steps, _ in counted)


def pace(counted):
    """Seconds of a step, the medians at the beginning and at the end of a training; `counted` as of `intervals`."""
    counted = [interval for interval in counted if interval[1] > 0]
    last = counted[-1][0]
    parts = ([seconds / steps for step, steps, seconds in counted if step <= PACE * last],
             [seconds / steps for step, steps, seconds in counted if step > (1 - PACE) * last])
    return [statistics.median(part or [counted[i][2] / counted[i][1]]) for part, i in zip(parts, (0, -1))]


def builds(log):
    """What rapt says of itself at each start of a training, each once."""
    return list(dict.fromkeys(entry["rapt"] for entry in log if "rapt" in entry))
