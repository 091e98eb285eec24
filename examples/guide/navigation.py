"""The order of the site's pages, as a hook of MkDocs: what ORDER names comes first, the rest behind in its section."""

import pathlib
import re

ORDER = [
    "index.md",
    ("Begin", ["first-ten-minutes.md", "install.md", "figure-1.md", "from-pytorch.md", "twelve-questions.md"]),
    ("Cookbook", "cookbook"),
    ("Models", "models"),
    ("Use", ["tokenizers.md", "speed.md", "compile-time.md", "reproducible.md", "files-and-safety.md", "errors.md"]),
    ("Trust", ["how-it-is-checked.md", "what-is-true.md", "versions.md", "changelog.md"]),
    ("Take part", ["contributing.md", "adding.md"]),
    ("Reference", "reference"),
]


def title_first(pages):
    """index.md first, the others by name."""
    return sorted(pages, key=lambda page: (page.rsplit("/", 1)[-1] != "index.md", page))


def on_config(config):
    root = pathlib.Path(config["docs_dir"])
    there = {path.relative_to(root).as_posix() for path in root.rglob("*.md")}
    navigation, left = [], {page for page in there if "/" not in page}
    for entry in ORDER:
        if isinstance(entry, str):
            navigation.append(entry)
            left.discard(entry)
            continue
        title, pages = entry
        if pages == "reference":  # its rooms in the order of its first page, and below them what links lead to
            first = (root / "reference" / "index.md").read_text(encoding="utf-8")
            rooms = re.findall(r"\]\((\w+/index\.md)\)", first)
            pages = ["reference/index.md", *(f"reference/{room}" for room in rooms)]
        elif isinstance(pages, str):
            pages = title_first(page for page in there if page.startswith(pages + "/"))
        else:
            pages = [page for page in pages if page in there]
        left -= set(pages)
        if pages:
            navigation.append({title: pages})
    if left:
        navigation.insert(-1, {"More": sorted(left)})
    config["nav"] = navigation
    return config
