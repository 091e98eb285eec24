#!/usr/bin/env python3
"""Makes the pages that MkDocs turns into the site: those of pages/, and the reference from the headers' comments.

    make_pages.py FOLDER

FOLDER/pages receives the Markdown, FOLDER/xml what doxygen says. The reference has a page for each room, for each
header and for each class; names in `code` of the prose, such as `rapt::Adam`, become links to them.
"""

import html
import pathlib
import re
import shutil
import sys

GUIDE = pathlib.Path(__file__).resolve().parent
ROOT = GUIDE.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "cmake"))
import reference  # noqa: E402

# Programs that show a class, where the shortest program that names it is not the best one.
BEST_PROGRAMS = {
    "Transformer": "examples/first.cpp",
    "Adam": "examples/first.cpp",
    "Training": "examples/first.cpp",
    "CosineSchedule": "examples/first.cpp",
}
CLASS_KINDS = ("class", "struct", "concept")


def room_sentences():
    """The table of rooms of include/rapt/README.md: name -> sentence."""
    text = (ROOT / "include" / "rapt" / "README.md").read_text(encoding="utf-8")
    return {match[1]: match[2].strip() for match in re.finditer(r"^\| (\w+)/ \| (.*?) \|", text, re.MULTILINE)}


def escape(text):
    """Text as Markdown that shows it as it stands, but for `code`."""
    parts = re.split(r"(`[^`\n]+`)", text)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"([\\*_\[\]#!])", r"\\\1", html.escape(parts[i], quote=False)).replace("|", "&#124;")
        parts[i] = re.sub(r"(?m)^(\s*)([-+]|\d+\.)(?=\s)", r"\1\\\2", parts[i])
    return "".join(parts)


def prose(comment):
    """A comment as Markdown: paragraphs; indented lines (formulas, tables, commands) keep their form."""
    result, block, indented = [], [], False

    def close():
        text = "\n".join(block).strip("\n")
        if text and indented:
            result.append('<pre class="formula">' + html.escape(textwrap_dedent(text), quote=False) + "</pre>")
        elif text:
            result.append(escape(text))
        block.clear()

    fenced = False
    for line in comment.splitlines():
        line = re.sub(r"^\\(?:brief|details|returns?|note) ", "", line)
        if re.match(r"^\s*(```|\\code|\\endcode)", line):
            close()
            fenced, indented = not fenced, not fenced
            continue
        is_indented = fenced or (line.startswith("  ") and not (block and not indented and is_list(block)))
        if not line.strip() and not fenced:
            close()
            continue
        if is_indented != indented:
            close()
            indented = is_indented
        block.append(line)
    close()
    return "\n\n".join(result)


def is_list(block):
    return any(re.match(r"^\s*([-*]|\d+\.) ", line) for line in block)


def textwrap_dedent(text):
    lines = text.split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines)


def first_sentence(comment):
    text = " ".join(comment.split("\n\n")[0].split())
    match = re.match(r"^(.*?(?<!et al)(?<!e\.g)(?<!i\.e)[.:])(?= [A-Z`(\d]|$)", text)
    return (match[1] if match else text).rstrip(":")


class Site:
    def __init__(self, names, folder):
        self.reference, self.pages = names, folder
        self.page_of = {}  # "Adam", "kernels::gemm" -> (page, anchor), for links; None where a name is ambiguous
        self.programs = self.read_programs()
        for name in (name for names in self.reference.headers.values() for name in names):
            self.register(name)

    def read_programs(self):
        """(path from the root, its text, the page that shows it, what it prints or None), shortest first."""
        shown = {}
        for page in sorted((GUIDE / "pages").rglob("*.md")):
            for match in re.finditer(r'--8<-- "([^":]+\.cpp)', page.read_text(encoding="utf-8")):
                shown.setdefault(match[1], page.relative_to(GUIDE / "pages").as_posix())
        result = []
        for path in [*sorted(GUIDE.glob("*.cpp")), ROOT / "examples" / "first.cpp"]:
            name = path.relative_to(GUIDE if path.parent == GUIDE else ROOT).as_posix()
            output = path.with_suffix(".txt")
            result.append((name, path.read_text(encoding="utf-8"), shown.get(name),
                           output.name if output.is_file() else None))
        return sorted(result, key=lambda program: len(program[1].splitlines()))

    @staticmethod
    def full(name):
        return "::".join([*name.space.split("::")[1:], name.title])

    def page(self, name):
        room, stem = name.header.rsplit("/", 1) if "/" in name.header else ("", name.header)
        folder = f"reference/{room}/" if room else "reference/"
        return folder + (name.title.replace("::", ".") + ".md" if name.kind in CLASS_KINDS else stem + ".md")

    def register(self, name):
        place = (self.page(name), "" if name.kind in CLASS_KINDS else "#" + self.anchor(name))
        for key in {self.full(name), name.title}:
            if self.page_of.setdefault(key, place) != place and name.kind not in CLASS_KINDS:
                continue
            self.page_of[key] = place

    @staticmethod
    def anchor(name):
        words = {"operator==": "equal", "operator()": "call", "operator[]": "index", "operator=": "assign"}
        return re.sub(r"\W+", "-", words.get(name.name, name.name)).strip("-").lower() or "operator"

    def link(self, where, key, text):
        page, anchor = self.page_of[key]
        depth = where.count("/")
        return f"[{text}]({'../' * depth}{page}{anchor})"

    def linked(self, where, text):
        """Markdown whose `rapt::Name` in code, outside of blocks and links, are links to their pages."""
        parts = re.split(r"(?ms)(^ *```.*?^ *```$|^ *~~~.*?^ *~~~$|<(?:pre|svg|math)\b.*?</(?:pre|svg|math)>|"
                         r"\[[^\]\n]*\]\([^)\n]*\))", text)
        for i in range(0, len(parts), 2):
            parts[i] = re.sub(r"(?<!`)`(rapt::)?((?:\w+::)*\w+)(\(\))?`(?!`)",
                              lambda match: self.linked_code(where, match), parts[i])
            if where.startswith("reference/"):  # comments name classes without marks
                parts[i] = re.sub(r"(?m)^(?!#).*$", lambda match: self.linked_words(where, match[0]), parts[i])
        return "".join(parts)

    def linked_words(self, where, line):
        """A line of a comment in which words such as AdamRule are links to their pages."""
        parts = re.split(r"(`[^`]*`|\[[^\]]*\]\([^)]*\)|<[^>]*>)", line)
        for i in range(0, len(parts), 2):
            parts[i] = re.sub(r"(?<![\w:\\/.])(?:[A-Z][a-z0-9]+){2,}(?![\w:\\/])",
                              lambda match: self.linked_word(where, match[0]), parts[i])
        return "".join(parts)

    def linked_word(self, where, word):
        place = self.page_of.get(word)
        return word if place is None or place[0] == where else self.link(where, word, word)

    def linked_code(self, where, match):
        is_class = re.match(r"^(\w+::)*[A-Z]\w*[a-z]\w*$", match[2])
        place = self.page_of.get(match[2])
        if place is None or not (match[1] or is_class) or place[0] == where:
            return match[0]
        return self.link(where, match[2], match[0])

    def write(self, path, text):
        path = self.pages / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def example(self, where, name):
        """The program that shows a class, and what it prints."""
        candidates = [program for program in self.programs
                      if re.search(rf"\brapt::(?:\w+::)*{re.escape(name.name)}\b", program[1])]
        best = BEST_PROGRAMS.get(name.title)
        candidates.sort(key=lambda program: (program[0] != best, program[3] is None and program[0] != best))
        if not candidates:
            return ""
        program, text, page, output = candidates[0]
        result = f'\n## Example\n\n```cpp title="{program}"\n--8<-- "{program}"\n```\n'
        if output:
            result += f'\n```text title="prints"\n--8<-- "{output}"\n```\n'
        others = [(other[0], other[2]) for other in candidates if other[2]]
        if others:
            links = {page: f"[{other.rsplit('/', 1)[-1]}]({'../' * where.count('/')}{page})" for other, page in others}
            result += f"\nPages with programs that use it: {', '.join(links.values())}.\n"
        return result

    def members(self, name):
        groups = {"Types": [], "Making one": [], "Functions": [], "Data": []}
        for member in name.members:
            if member.kind in ("type", "enumeration"):
                groups["Types"].append(member)
            elif member.kind == "variable":
                groups["Data"].append(member)
            else:
                groups["Making one" if member.name == name.name else "Functions"].append(member)
        text = ""
        for title, members in groups.items():
            if not members:
                continue
            text += f"\n## {title}\n"
            if title == "Data":
                text += "\n" + "\n".join(self.field(member) for member in members)
            else:
                text += self.entries(members, "###", name)
        return text

    def field(self, member):
        comment = prose(self.comment(member))
        return f'<a id="{self.anchor(member)}"></a>\n`{member.declaration.rstrip(";")}`\n' + \
            (f'\n<div class="field" markdown>\n\n{comment}\n\n</div>\n' if comment else "")

    @staticmethod
    def comment(member):
        if member.comment or member.is_overload:
            return member.comment
        if member.scope and member.declaration.endswith(" override;"):
            return "As in the base class."
        if member.scope:
            return reference.shared_meaning(member.name, member.scope)
        return reference.SHARED_FUNCTIONS.get(member.name, "")

    def entries(self, members, level, owner=None):
        """Functions and types, those of one name below one heading."""
        text, last = "", None
        for member in sorted(members, key=lambda member: [m.name for m in members].index(member.name)):
            if member.name != last:
                text += f"\n{level} {escape(member.name)} {{ #{self.anchor(member)} }}\n"
                last = member.name
            text += f"\n```cpp\n{member.declaration}\n```\n\n{prose(self.comment(member))}\n"
            for value, comment in member.values:
                text += f"\n- `{value}`" + (f": {escape(comment)}" if comment else "")
            text += "\n" if member.values else ""
        return text

    def write_class(self, name):
        where = self.page(name)
        text = f"# {escape(name.title)}\n\n"
        text += f"[`#include <rapt/{name.header}>`]({name.header.rsplit('/', 1)[-1]}.md)" \
                f"{'' if name.space == 'rapt' else f', in the namespace `{name.space}`'}\n\n"
        text += f"```cpp\n{name.declaration}\n```\n\n{prose(name.comment)}\n"
        text += self.example(where, name) + self.members(name)
        self.write(where, self.linked(where, text))

    def write_header(self, header, names):
        room, stem = header.rsplit("/", 1) if "/" in header else ("", header)
        where = f"reference/{room}/{stem}.md" if room else f"reference/{stem}.md"
        text = f"# {escape(stem)}\n\n`#include <rapt/{header}>`\n\n"
        text += prose(self.reference.sources[header].file_comment()) + "\n"
        classes = [name for name in names if name.kind in CLASS_KINDS]
        if classes:
            text += "\n| class | |\n|---|---|\n"
            for name in classes:
                text += f"| [`{name.title}`]({self.page(name).rsplit('/', 1)[-1]}) | {cell(name.comment)} |\n"
        others = [name for name in names if name.kind not in CLASS_KINDS]
        if others:
            text += "\n## Functions, types and constants\n" if classes else ""
            text += self.entries(others, "###" if classes else "##")
        self.write(where, self.linked(where, text))

    def write_rooms(self):
        sentences, rooms = room_sentences(), {}
        for header in self.reference.headers:
            rooms.setdefault(header.split("/")[0] if "/" in header else "", []).append(header)
        text = ("# Reference\n\nEvery public name of the headers, by the rooms of the library. Names in a namespace "
                "`detail` are not public.\n\n| room | what is in it |\n|---|---|\n")
        for room in sentences:
            if room in rooms:
                text += f"| [{room}/]({room}/index.md) | {escape(sentences[room])} |\n"
                self.write_room(room, sentences[room], rooms[room])
        missing = set(rooms) - set(sentences) - {""}
        if missing:
            raise SystemExit(f"include/rapt/README.md has no sentence for {sorted(missing)}")
        for header in rooms.get("", []):
            text += f"| [{header}]({header}.md) | {cell(self.reference.sources[header].file_comment())} |\n"
        self.write("reference/index.md", text)

    def write_room(self, room, sentence, headers):
        text = f"# {room}/\n\n{escape(sentence[0].upper() + sentence[1:])}.\n\n| header | what it has |\n|---|---|\n"
        for header in headers:
            below = header[len(room) + 1:]
            names = {}
            for name in self.reference.headers[header]:
                if name.scope == "":
                    names[name.title] = f"[`{name.name}`]({self.page(name)[len('reference/') + len(room) + 1:]}" \
                                        f"{'' if name.kind in CLASS_KINDS else '#' + self.anchor(name)})"
            text += f"| [{escape(below)}]({below}.md) | {cell(self.reference.sources[header].file_comment())} " \
                    f"{' '.join(names.values())} |\n"
        self.write(f"reference/{room}/index.md", text)

    def write_all(self):
        for path in sorted((GUIDE / "pages").rglob("*")):
            if path.is_file():
                where = path.relative_to(GUIDE / "pages").as_posix()
                target = self.pages / where
                target.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".md":
                    target.write_text(self.linked(where, path.read_text(encoding="utf-8")), encoding="utf-8")
                else:
                    shutil.copyfile(path, target)
        self.write_rooms()
        for header, names in self.reference.headers.items():
            self.write_header(header, names)
            for name in names:
                if name.kind in CLASS_KINDS:
                    self.write_class(name)


def cell(comment):
    return escape(first_sentence(comment)).replace("\n", " ")


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    pages = folder / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.rmtree(folder / "xml", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    names = reference.Reference(reference.run_doxygen(folder))
    Site(names, pages).write_all()
    print(len(list(pages.rglob('*.md'))), 'pages,', sum(1 for _ in names.all()), 'public names')


if __name__ == "__main__":
    main()
