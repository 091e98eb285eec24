#!/usr/bin/env python3
"""Checks that includes point downward only, and that the rooms' README says the same as this script.

    core <- kernels <- autograd <- nn <- models

Prints one line per offence, `file:line: rule: the include`, and fails if there is any. `--self-test` checks the
checker.
"""

import pathlib
import re
import sys

# What a header of each room may include besides its own room: rooms, or single headers. The table in the rooms' README
# says the same.
ALLOWED = {
    "core": [],
    "kernels": ["core"],
    "autograd": ["core", "kernels"],
    "nn": ["core", "kernels", "autograd"],
    "models": ["core", "kernels", "autograd", "nn"],
    "generation": ["core", "kernels", "autograd", "nn"],  # meets models only through its concept
    "optim": ["core", "kernels", "autograd", "nn/module.hpp"],
    "text": ["core"],
    "images": ["core"],
    "audio": ["core", "images/file_bytes.hpp"],
    "data": ["core", "text", "images"],
    "visualization": ["core"],
    "io": ["core", "nn/module.hpp"],
    "distributed": ["core"],
    "train": ["core", "autograd", "nn/module.hpp", "nn/freeze.hpp", "optim", "data", "visualization", "io",
              "distributed"],
    "onnx": ["core", "nn", "models", "io"],
    "pretrained": ["core", "kernels", "nn", "models", "generation", "text", "io"],
    "pipelines": ["core", "nn", "models", "generation", "text", "images", "audio", "io", "pretrained"],
    "finetune": ["core", "autograd", "nn", "models", "generation", "optim", "text", "data", "io", "distributed", "train",
                 "pretrained", "pipelines"],
    "search": ["core", "visualization", "train/interrupt.hpp", "train/progress.hpp"],
    "precompiled": ["rapt.hpp"],
}
# The umbrella needs Eigen and threads only, however far one follows its includes.
UMBRELLA = "rapt.hpp"
UMBRELLA_ROOMS = {"core", "kernels", "autograd", "nn", "models", "generation", "optim", "train", "data", "distributed",
                  "precompiled"}
# Headers of these rooms that need more.
UMBRELLA_EXCLUDES = {"distributed/mpi_communicator.hpp", "distributed/mpi_session.hpp"}
# Other libraries: where they may be included.
LIBRARIES = [
    (re.compile(r"nlohmann/"), ["io", "train", "pretrained", "pipelines", "finetune", "search"]),
    (re.compile(r"utf8proc"), ["text"]),
    (re.compile(r"pcre2\.h$"), ["text/pattern.hpp"]),
    (re.compile(r"(png|zlib)\.h$"), ["images"]),
    (re.compile(r"mpi\.h$"), ["distributed/mpi_communicator.hpp"]),
    (re.compile(r"(iostream|regex)$"), []),  # static initialisers; code size
    (re.compile(r"Eigen/Cholesky$"), ["search/gaussian_process.hpp"]),
    (re.compile(r"Eigen/Eigenvalues$"), ["images/generation_scores.hpp"]),
    (re.compile(r"Eigen/(?!Core$|Cholesky$|Eigenvalues$)"), []),  # Eigen/Core is enough, and quick to compile
    (re.compile(r"unsupported/Eigen/"), ["audio/log_mel.hpp"]),
    (re.compile(r"(CLI|gtest|benchmark)/"), []),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def matches(header, places):
    return any(header == place or header.startswith(place + "/") for place in places)


def room_of(header):
    return header.split("/")[0] if "/" in header else ""


def read_includes(root):
    """header -> [(line number, quote, included)]"""
    result = {}
    for path in sorted(root.rglob("*.hpp")):
        found = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                found.append((number, match[1], match[2]))
        result[path.relative_to(root).as_posix()] = found
    return result


def check_header(header, includes, headers):
    """Yields (line, rule, included)."""
    room = room_of(header)
    if room and room not in ALLOWED:
        yield 1, f"the room {room}/ is not in the list of this check", header
        return
    for line, quote, included in includes:
        if included.startswith("rapt/"):
            target = included[len("rapt/") :]
            allowed = [room, "version.hpp", *ALLOWED.get(room, [])]
            if quote != '"':
                yield line, "rapt's headers are included with quotes", included
            elif target not in headers:
                yield line, "no such header", included
            elif not room and header != UMBRELLA:
                yield line, "headers beside the rooms include nothing", included
            elif room and not matches(target, allowed):
                yield line, f"{room} may include only {', '.join(allowed[:1] + allowed[2:])}", included
        elif quote == '"':
            yield line, 'rapt\'s headers are included as "rapt/...", others as <...>', included
        else:
            for library, places in LIBRARIES:
                if library.match(included) and not matches(header, places):
                    yield line, f"allowed in {', '.join(places)} only" if places else "not in a header", included


def check_umbrella(headers):
    """Yields (header, line, rule, included) for what the umbrella reaches but must not."""
    chains, queue = {UMBRELLA: [UMBRELLA]}, [UMBRELLA]
    while queue:
        header = queue.pop()
        for line, _, included in headers.get(header, []):
            target = included[len("rapt/") :] if included.startswith("rapt/") else ""
            if target not in headers or target in chains:
                continue
            chains[target] = chains[header] + [target]
            room = room_of(target)
            if target in UMBRELLA_EXCLUDES or room and room not in UMBRELLA_ROOMS:
                yield header, line, "the umbrella must not need this: " + " -> ".join(chains[target]), included
            else:
                queue.append(target)


def check_readme(text):
    """Yields (line, rule, what stands there) for rows of the README's table that say something else than ALLOWED."""
    rows = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"\| (\w+)/ \|.*\| ([^|]*)\|", line)
        if match:
            rows[match[1]] = number, match[2].strip()
    for room, allowed in ALLOWED.items():
        number, said = rows.pop(room, (1, "no row"))
        if said != ", ".join(allowed):
            yield number, f"{room}/ may include '{', '.join(allowed)}' by ALLOWED", said
    for room, (number, said) in rows.items():
        yield number, f"the room {room}/ is not in the list of this check", said


def check(headers):
    offences = []
    for header, includes in headers.items():
        offences += [(header, *offence) for offence in check_header(header, includes, headers)]
    return offences + list(check_umbrella(headers))


def self_test():
    good = {
        "version.hpp": [],
        "core/a.hpp": [(1, '"', "rapt/version.hpp"), (2, "<", "Eigen/Core"), (3, "<", "vector")],
        "nn/module.hpp": [(1, '"', "rapt/core/a.hpp")],
        "optim/adam.hpp": [(1, '"', "rapt/nn/module.hpp")],
        "io/json.hpp": [(1, "<", "nlohmann/json.hpp")],
        "images/png.hpp": [(1, '"', "rapt/core/a.hpp"), (2, "<", "png.h")],
        "distributed/mpi_communicator.hpp": [(1, '"', "rapt/core/a.hpp"), (2, "<", "mpi.h")],
        "rapt.hpp": [(1, '"', "rapt/optim/adam.hpp")],
    }
    assert not check(good), check(good)
    for header, quote, included in [
        ("core/a.hpp", '"', "rapt/nn/module.hpp"),
        ("optim/adam.hpp", '"', "rapt/nn/linear.hpp"),
        ("core/a.hpp", '"', "rapt/core/absent.hpp"),
        ("core/a.hpp", '"', "a.hpp"),
        ("core/a.hpp", "<", "rapt/version.hpp"),
        ("core/a.hpp", "<", "iostream"),
        ("core/a.hpp", "<", "Eigen/Dense"),
        ("nn/module.hpp", "<", "nlohmann/json.hpp"),
        ("io/json.hpp", "<", "zlib.h"),
        ("images/png.hpp", '"', "rapt/nn/module.hpp"),
        ("core/a.hpp", "<", "mpi.h"),
        ("rapt.hpp", '"', "rapt/distributed/mpi_communicator.hpp"),
        ("version.hpp", '"', "rapt/core/a.hpp"),
        ("rapt.hpp", '"', "rapt/io/json.hpp"),
    ]:
        bad = {**good, "nn/linear.hpp": []}
        bad[header] = [*bad[header], (9, quote, included)]
        assert [(o[0], o[1], o[3]) for o in check(bad)] == [(header, 9, included)], (header, included, check(bad))
    assert check({**good, "attic/x.hpp": []})
    table = [f"| {room}/ | what | {', '.join(allowed)} |" for room, allowed in ALLOWED.items()]
    assert not list(check_readme("\n".join(table))), list(check_readme("\n".join(table)))
    for wrong in [table[1:], [*table, "| attic/ | what | core |"], [*table[:-1], "| precompiled/ | what | core |"]]:
        assert len(list(check_readme("\n".join(wrong)))) == 1, wrong


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    root = pathlib.Path(__file__).resolve().parent.parent / "include" / "rapt"
    headers = read_includes(root)
    offences = check(headers)
    offences += [("README.md", *offence) for offence in check_readme((root / "README.md").read_text(encoding="utf-8"))]
    for header, line, rule, included in offences:
        print(f"include/rapt/{header}:{line}: {rule}: {included}")
    print(f"{len(headers)} headers, {len(offences)} includes in the wrong direction")
    return 1 if offences or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
