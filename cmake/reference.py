"""The public names of the headers and their comments, for the guide's pages and for check_reference.py.

doxygen finds the declarations; a comment is taken from the header as it stands, with its lines, since formulas and
tables of comments would not outlive doxygen's own reading of Markdown. What lies in a namespace `detail`, is private,
or specialises a template is not public.
"""

import dataclasses
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOXYFILE = """
PROJECT_NAME = rapt
INPUT = include/rapt
FILE_PATTERNS = *.hpp
RECURSIVE = YES
STRIP_FROM_PATH = include
STRIP_FROM_INC_PATH = include
EXCLUDE_SYMBOLS = *::detail *::detail::*
OUTPUT_DIRECTORY = "{output}"
GENERATE_XML = YES
XML_PROGRAMLISTING = NO
GENERATE_HTML = NO
GENERATE_LATEX = NO
HAVE_DOT = NO
CLASS_GRAPH = NO
INCLUDE_GRAPH = NO
INCLUDED_BY_GRAPH = NO
QUIET = YES
WARNINGS = NO
WARN_IF_DOC_ERROR = NO
WARN_LOGFILE = /dev/null
MACRO_EXPANSION = YES
EXPAND_ONLY_PREDEF = YES
PREDEFINED = RAPT_ABI=rapt_abi RAPT_PRECOMPILED_DECLARATIONS=0
"""
KINDS = {"function": "function", "variable": "variable", "typedef": "type", "enum": "enumeration"}
SKIPPED_ROOMS = {"precompiled"}  # lists of instances

# Members that many classes have mean the same in all of them; a class may say more in a comment of its own.
SHARED_MEMBERS = {
    "visit": "Calls `visitor(name, member)` for each parameter, buffer and part, in the order of their declaration. "
             "Names in files, counting, saving, loading, freezing and the optimizer's state follow from it.",
    "visit_fields": "Calls `field(name, value)` for each setting, in the order in which files have them.",
    "visit_keys": "Calls `key` for each key of the folder's config.json that stands for a setting.",
    "visit_generation_keys": "Calls `key` for each key of generation_config.json that stands for a setting.",
    "named_values": "The enumeration's values with their names, as files, options and messages have them.",
    "validate": "Throws an error that names the values if they do not fit together.",
    "config": "The settings that this was made with.",
    "options": "The options that this has.",
    "operator==": "True if all members are equal.",
    "kName": "The name in messages and files.",
    "ScalarType": "The type of a number of the parameters: float or double.",
    "size": "The number of elements.",
    "empty": "True if there are no elements.",
    "begin": "Where the range begins.",
    "end": "Where the range ends; what stands there is no longer part of it.",
    "Config": "The type of the settings.",
    "Options": "The type of the options.",
    "shape": "The sizes of the dimensions.",
    "rows": "The number of rows.",
    "cols": "The number of columns.",
    "seed": "Random numbers follow from it: the same seed gives the same bits.",
    "sequence_marks": "The tokens that begin and end the model's sequences.",
    "kItems": "What `item_count()` counts, for the speed that is shown.",
    "item_count": "What the model reads, in units of `kItems`, for the speed that is shown.",
    "target_count": "The number of targets: batches that are accumulated into one step weigh by it.",
    "batches_per_epoch": "How many batches the epoch of `position()` has.",
}
# The same for the members of classes whose name ends with the first word.
SHARED_SETTINGS = {
    ("Config", "d_model"): "D, the width of the hidden states.",
    ("Config", "vocabulary"): "V, the number of tokens that have ids.",
    ("Config", "source_vocabulary"): "The number of tokens of the source that have ids.",
    ("Config", "target_vocabulary"): "The number of tokens of the target that have ids.",
    ("Config", "layers"): "The number of blocks of the stack.",
    ("Config", "encoder_layers"): "The number of blocks of the encoder.",
    ("Config", "decoder_layers"): "The number of blocks of the decoder.",
    ("Config", "heads"): "H, the number of heads of an attention.",
    ("Config", "encoder_heads"): "The number of heads of an attention of the encoder.",
    ("Config", "decoder_heads"): "The number of heads of an attention of the decoder.",
    ("Config", "d_ff"): "The width of the feed-forward network's hidden layer.",
    ("Config", "encoder_d_ff"): "The width of the hidden layer of the encoder's feed-forward networks.",
    ("Config", "decoder_d_ff"): "The width of the hidden layer of the decoder's feed-forward networks.",
    ("Config", "decoder_d_model"): "The width of the decoder's hidden states.",
    ("Config", "activation"): "The activation of the feed-forward networks.",
    ("Config", "norm_epsilon"): "What norms add to the variance before they take its square root.",
    ("Options", "d_model"): "D, the width of the input and of the result.",
    ("Options", "d_ff"): "The width of the hidden layer.",
    ("Batches", "next"): "The next batch.",
    ("Stream", "next"): "The next batch.",
    ("Batches", "position"): "The position after the batch that `next` gave last.",
    ("Stream", "position"): "The position after the batch that `next` gave last.",
    ("Rule", "states"): "What the optimizer keeps of each parameter beside it.",
    ("Rule", "values"): "The options as numbers, of which checkpoints keep a text.",
}


def shared_meaning(name, owner):
    """The sentence of SHARED_MEMBERS or SHARED_SETTINGS for a member of the class `owner`, or an empty text."""
    settings = (text for (end, member), text in SHARED_SETTINGS.items() if owner.endswith(end) and member == name)
    return SHARED_MEMBERS.get(name) or next(settings, "")


SHARED_FUNCTIONS = {
    "named_values": SHARED_MEMBERS["named_values"],
    "to_string": "The name of the value, as files, options and messages have it.",
}


@dataclasses.dataclass
class Name:
    kind: str  # class, struct, concept, function, variable, type, enumeration
    name: str  # without namespaces
    scope: str  # of a member its class, "AdamRule::Formula", and empty otherwise
    space: str  # "rapt", "rapt::kernels"
    header: str  # "optim/adam.hpp"
    line: int
    declaration: str
    comment: str = ""
    members: list = dataclasses.field(default_factory=list)
    values: list = dataclasses.field(default_factory=list)  # of an enumeration: (name, comment)
    is_overload: bool = False  # of a function with a comment that stands before it

    @property
    def title(self):
        return f"{self.scope}::{self.name}" if self.scope else self.name


def run_doxygen(folder):
    """Runs doxygen over the headers; returns the folder of its XML."""
    text = DOXYFILE.format(output=folder)
    subprocess.run(["doxygen", "-"], input=text, text=True, check=True, cwd=ROOT)
    return pathlib.Path(folder) / "xml"


def text_of(element):
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def tidy(text):
    """doxygen's spaces as the project writes them: `std::span<const Index> ids`, `const Tensor<T>& x`."""
    text = text.replace("rapt::rapt_abi::", "rapt::")
    text = re.sub(r"< (?=\S)", "<", text)
    text = re.sub(r"(?<=\S) >", ">", text)
    text = re.sub(r"(?<=[\w>]) ([&*]+) ?(?=\w|,|\)|=|$|\.\.\.)", r"\1 ", text)
    return text.replace(" ,", ",").replace(" )", ")").strip()


def template_line(element):
    parameters = element.find("templateparamlist")
    if parameters is None:
        return ""
    texts = []
    for parameter in parameters.findall("param"):
        text = text_of(parameter.find("type"))
        name = text_of(parameter.find("declname"))
        if name and not text.endswith(name):
            text += f" {name}"
        default = text_of(parameter.find("defval"))
        texts.append(text + (f" = {default}" if default else ""))
    return tidy(f"template <{', '.join(texts)}>") + "\n" if texts else ""


def declaration(member):
    kind, name = member.get("kind"), text_of(member.find("name"))
    kept = text_of(member.find("initializer"))
    value = " " + kept if kept and len(kept) < 60 and kept.startswith(("=", "{")) else ""
    if kind == "enum":
        strong = " class" if member.get("strong") == "yes" else ""
        return f"enum{strong} {name}"
    if kind == "typedef":
        return tidy(template_line(member) + f"using {name} = {text_of(member.find('type'))};")
    if kind == "variable":
        return template_line(member) + tidy(f"{text_of(member.find('type'))} {name}") + value + ";"
    requires = text_of(member.find("requiresclause"))
    head = template_line(member) + (f"requires {requires}\n" if requires else "")
    result = text_of(member.find("type"))
    static = "static " if member.get("static") == "yes" and member.get("prot") else ""
    arguments = tidy(text_of(member.find("argsstring")))
    line = f"{static}{tidy(result) + ' ' if result else ''}{name}"
    line = re.sub(r"^(static )?(inline |constexpr )*", lambda match: match[1] or "", line)
    if len(line + arguments) <= 100:
        return f"{head}{line}{arguments};"
    return f"{head}{line}{broken(arguments)};"


def broken(arguments):
    """The arguments of a long declaration, each in a line of its own."""
    depth, parts, current, end = 0, [], "", len(arguments)
    for i, character in enumerate(arguments):
        depth += character in "(<{["
        depth -= character in ")}]" or (character == ">" and arguments[i - 1] != "-")
        if depth == 0 and character == ")":
            end = i
            break
        if i == 0:
            continue
        if depth == 1 and character == ",":
            parts.append(current.strip())
            current = ""
        else:
            current += character
    parts.append(current.strip())
    return "(\n    " + ",\n    ".join(parts) + arguments[end:]


class Header:
    """The lines of a header, and the comments in front of, behind and at the top of its declarations."""

    BETWEEN = re.compile(r"^\s*(template\b|requires\b|\[\[|RAPT_|class\b|typename\b|\S.*[,>&|(]\s*$)")

    def __init__(self, path):
        self.lines = path.read_text(encoding="utf-8").splitlines()

    @staticmethod
    def comment_text(line):
        match = re.match(r"^\s*///(?!<)(?: |$)?(.*)$", line)
        return match[1] if match else None

    def above(self, number):
        """The comment above line `number`, over the lines that begin its declaration."""
        i = number - 2
        while i >= 0 and self.comment_text(self.lines[i]) is None:
            if not self.BETWEEN.match(self.lines[i]) or self.lines[i].rstrip().endswith((";", "{", "}")):
                return ""
            i -= 1
        found = []
        while i >= 0 and self.comment_text(self.lines[i]) is not None:
            found.append(self.comment_text(self.lines[i]))
            i -= 1
        return "\n".join(reversed(found)).strip("\n")

    def behind(self, number):
        """The comment `///<` behind the declaration of line `number`, with its further lines."""
        for i in range(number - 1, min(number + 2, len(self.lines))):
            match = re.search(r"///< ?(.*)$", self.lines[i])
            if not match:
                if re.search(r"[;{}]\s*(//.*)?$", self.lines[i]):
                    return ""
                continue
            found = [match[1]]
            for line in self.lines[i + 1:]:
                more = re.match(r"^\s*///< ?(.*)$", line)
                if not more:
                    break
                found.append(more[1])
            return "\n".join(found)
        return ""

    def class_head(self, number, otherwise):
        """`class Adam : public RuleOptimizer<T, AdamRule>`, as it stands in line `number`."""
        match = re.search(r"\b((?:class|struct) [^{;]*?) *[{;]", self.lines[number - 1])
        return match[1] if match and "detail::" not in match[1] else otherwise

    def comment(self, number):
        """The comment of the declaration in line `number`, or of the static functions right above of which it is one."""
        found = self.above(number) or self.behind(number)
        if found or number < 2 or not self.is_static(number) or not self.is_static(number - 1):
            return found
        return self.comment(number - 1)

    def is_static(self, number):
        return bool(re.match(r"^\s*(\[\[nodiscard\]\] )?static .*\(.*\}$", self.lines[number - 1]))

    def file_comment(self):
        found = []
        for line in self.lines:
            text = self.comment_text(line)
            if text is None:
                if found or line.startswith("#"):
                    break
            elif text.strip() != "\\file":
                found.append(text)
        return "\n".join(found).strip("\n")


class Reference:
    """All public names: `headers` maps "optim/adam.hpp" to its names, in the order of the header."""

    def __init__(self, xml):
        self.sources, self.headers, seen = {}, {}, set()
        for path in sorted((ROOT / "include" / "rapt").rglob("*.hpp")):
            header = path.relative_to(ROOT / "include" / "rapt").as_posix()
            if header.split("/")[0] not in SKIPPED_ROOMS:
                self.sources[header], self.headers[header] = Header(path), []
        for file in sorted(xml.glob("*.xml")):
            if file.name == "index.xml":
                continue
            for compound in ElementTree.parse(file).getroot().findall("compounddef"):
                for name in self.read_compound(compound):
                    key = (name.header, name.line, name.name, name.kind, name.declaration)
                    if key not in seen:
                        seen.add(key)
                        self.headers[name.header].append(name)
        for names in self.headers.values():
            names.sort(key=lambda name: name.line)
            for name in names:
                name.members = document_overloads(name.members)
            names[:] = document_overloads(names)

    def place(self, element):
        """(header, line), or None if it is no public header."""
        location = element.find("location")
        file = (location.get("file") or "") if location is not None else ""
        header = re.sub(r"^(.*include/)?rapt/", "", file)
        return (header, int(location.get("line"))) if header in self.headers and location.get("line") else None

    def read_compound(self, compound):
        kind, full = compound.get("kind"), text_of(compound.find("compoundname"))
        parts = [part for part in full.split("::") if part != "rapt_abi"]
        if kind == "namespace":
            if parts[0] != "rapt" or "detail" in parts:
                return
            for member in compound.iter("memberdef"):
                name = self.read_member(member, "", "::".join(parts))
                if name is not None:
                    yield name
            return
        place = self.place(compound)
        if kind not in ("class", "struct", "concept") or place is None or "<" in full or "detail" in parts:
            return
        if parts[0] != "rapt" or compound.get("prot", "public") != "public" or "@" in full:
            return
        spaces = 1
        while spaces < len(parts) - 1 and parts[spaces][0].islower():
            spaces += 1
        if kind == "concept":
            text = tidy_concept("".join(compound.find("initializer").itertext()))
        else:
            text = template_line(compound) + self.sources[place[0]].class_head(place[1], f"{kind} {parts[-1]}") + ";"
        result = Name(kind, parts[-1], "::".join(parts[spaces:-1]), "::".join(parts[:spaces]), *place, text,
                      self.sources[place[0]].comment(place[1]))
        for member in compound.iter("memberdef"):
            name = self.read_member(member, "::".join(parts[spaces:]), result.space)
            if name is not None:
                result.members.append(name)
        result.members.sort(key=lambda name: name.line)
        yield result

    def read_member(self, member, scope, space):
        name, place, kind = text_of(member.find("name")), self.place(member), KINDS.get(member.get("kind"))
        if place is None or kind is None or member.get("prot", "public") != "public" or "@" in name or not name:
            return None
        arguments = text_of(member.find("argsstring"))
        if kind == "function" and (arguments.endswith(("=delete", "=default")) or name.startswith("~") or
                                   "->" in text_of(member.find("definition")).split("(")[0]):
            return None
        if kind == "function" and re.match(r"^[A-Z]\w*$", name) and not scope:
            return None  # a deduction guide, or a macro's call
        location = member.find("location")
        if name.startswith("operator") and not scope and location.get("bodyfile") == location.get("file"):
            place = (place[0], int(location.get("bodystart")))  # doxygen 1.9.4 takes another function's line for theirs
        source = self.sources[place[0]]
        result = Name(kind, name, scope, space, *place, declaration(member), source.comment(place[1]))
        for value in member.findall("enumvalue"):
            comment = text_of(value.find("briefdescription")) or text_of(value.find("detaileddescription"))
            result.values.append((text_of(value.find("name")), comment))
        return result

    def all(self):
        """Every public name, members behind their class."""
        for names in self.headers.values():
            for name in names:
                yield name
                yield from name.members


def document_overloads(names):
    """An overload without a comment stands below the one before it, whose comment speaks for both."""
    last = {}
    for name in names:
        if name.kind == "function":
            name.is_overload = not name.comment and bool(last.get(name.name))
            last[name.name] = last.get(name.name) or name.comment
    return names


def tidy_concept(text):
    return re.sub(r"\s+$", "", text.replace("rapt::rapt_abi::", "")).rstrip(";") + ";"


def is_documented(name, owner=None):
    """True if a name has a comment: its own, a shared member's, or that of its class `owner`, which names it."""
    if name.comment or name.is_overload or name.values and all(comment for _, comment in name.values):
        return True
    if owner is None:
        return name.name in SHARED_FUNCTIONS
    if name.declaration.endswith(" override;"):
        return True  # its comment is that of the base class
    is_constructor = name.name == owner.name
    return bool(shared_meaning(name.name, owner.title)) or is_constructor or bool(
        re.search(rf"(?<!\w){re.escape(name.name.rstrip('_'))}(?!\w)", owner.comment))
