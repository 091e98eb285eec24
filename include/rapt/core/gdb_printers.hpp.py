"""gdb's printers of rapt's types: `source` this file in gdb, or see gdb_printers.hpp.

Elements are shown as rapt::to_string shows them: in aligned columns, long dimensions at their ends if a tensor has more
elements than `set print elements` says.
"""
import gdb
import gdb.printing

EDGE = 3  # first and last places of a long dimension


def member(value, *names):
    """The first of the members that the value has: standard libraries call them differently."""
    for name in names:
        try:
            return value[name]
        except gdb.error:
            continue
    raise gdb.error(f"{value.type} has none of the members {', '.join(names)}")


def pointer_of(shared):
    return member(shared, "_M_ptr", "__ptr_")


def elements_of(vector):
    """The elements of a std::vector."""
    try:
        begin, end = vector["_M_impl"]["_M_start"], vector["_M_impl"]["_M_finish"]
    except gdb.error:
        begin, end = vector["__begin_"], vector["__end_"]
    return [begin[i] for i in range(int(end - begin))]


def text_of(view):
    """The text of a std::string_view."""
    size = int(member(view, "_M_len", "__size_", "__size"))
    return member(view, "_M_str", "__data_", "__data").string(length=size) if size > 0 else ""


def sizes_of(shape):
    sizes, rank = member(shape["sizes_"], "_M_elems", "__elems_"), int(shape["rank_"])
    if not 0 <= rank <= 4:
        raise ValueError(f"the shape is not initialised: rank {rank}")
    return [int(sizes[i]) for i in range(rank)]


def most_elements():
    limit = gdb.parameter("print elements")
    return 1 << 62 if limit is None or limit == 0 else int(limit)


def number(value):
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_FLT:
        return f"{float(value):g}"
    return str(int(value))


def rows_text(sizes, cell):
    """The elements in brackets; cell(row, column) is the text of one."""
    count = 1
    for size in sizes:
        count *= size
    shortened = count > most_elements()

    def places(size):
        if shortened and size > 2 * EDGE:
            return [*range(EDGE), None, *range(size - EDGE, size)]  # None: places that are left out
        return range(size)

    def nested(dim, row):
        if dim + 1 == len(sizes):
            return [None if i is None else cell(row, i) for i in places(sizes[dim])]
        return [None if i is None else nested(dim + 1, row * sizes[dim] + i) for i in places(sizes[dim])]

    def width(part):
        return 0 if part is None else len(part) if isinstance(part, str) else max(map(width, part), default=0)

    def text(part, dim):
        if part is None:
            return "..."
        if isinstance(part, str):
            return part.rjust(columns)
        between = ", " if dim + 1 == len(sizes) else "," + "\n" * (len(sizes) - 1 - dim) + " " * (dim + 1)
        return "[" + between.join(text(inner, dim + 1) for inner in part) + "]"

    numbers = nested(0, 0)
    columns = width(numbers)
    return text(numbers, 0)


def tensor_text(value):
    sizes, data = sizes_of(value["shape_"]), value["data_"]
    scalar = value.type.strip_typedefs().template_argument(0).unqualified().strip_typedefs()
    head = f"{scalar} [{', '.join(map(str, sizes))}]"
    if not sizes or 0 in sizes:
        return head + "\n[]"
    if int(data) == 0:
        return head + " without elements"
    fields = [field.name for field in value.type.strip_typedefs().fields()]
    stride = int(value["stride_"]) if "stride_" in fields else sizes[-1]
    return head + "\n" + rows_text(sizes, lambda row, column: number(data[row * stride + column]))


class ShapePrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return f"[{', '.join(map(str, sizes_of(self.value)))}]"


class TensorPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return tensor_text(self.value)


class RowSplitsPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        offsets = [int(offset) for offset in elements_of(self.value["offsets_"])]
        lengths = [end - begin for begin, end in zip(offsets, offsets[1:])]
        shown = ", ".join(map(str, lengths[:most_elements()])) + (", ..." if len(lengths) > most_elements() else "")
        return f"{len(lengths)} sequences of {shown} rows" if lengths else "no sequences"


class VariablePrinter:
    """Of a Variable and of a Parameter: what made it, whether it takes a gradient, and the value."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        is_parameter = "::Parameter<" in self.value.type.strip_typedefs().name
        kind = "parameter" if is_parameter else "variable"
        pointer = pointer_of(self.value["node_"])
        if int(pointer) == 0:
            return f"undefined {kind}"
        node = pointer.dereference()
        facts = [f"{kind} of '{text_of(node['name'])}'"] if text_of(node["name"]) else [kind]
        if is_parameter and not bool(node["requires_grad"]):
            facts.append("frozen")
        elif not is_parameter and bool(node["requires_grad"]):
            facts.append("requires a gradient")
        gradient = sizes_of(node["grad"]["shape_"])
        if gradient:
            facts.append(f"has a gradient of shape [{', '.join(map(str, gradient))}]")
        return ", ".join(facts) + ", " + tensor_text(node["value"])


def printers():
    collection = gdb.printing.RegexpCollectionPrettyPrinter("rapt")
    inside = r"^rapt::(v\d\w*::)?"
    collection.add_printer("Shape", inside + r"Shape$", ShapePrinter)
    collection.add_printer("Tensor", inside + r"Tensor(View)?<.*>$", TensorPrinter)
    collection.add_printer("RowSplits", inside + r"RowSplits$", RowSplitsPrinter)
    collection.add_printer("Variable", inside + r"(Variable|Parameter)<.*>$", VariablePrinter)
    return collection


gdb.printing.register_pretty_printer(None, printers(), replace=True)
