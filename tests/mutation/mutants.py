# SPDX-License-Identifier: GPL-2.0-only
"""Makes the mutants of a module, which are texts of it with one small change each.

Changed are comparisons, `and` and `or`, conditions, arithmetic, whole numbers (by one), True and
False, texts (emptied) and returned values; statements are left out.  Docstrings, annotations and
what is only logged or said stay as they are.  `return False` becomes `return True` and not
`return None`: who asks a function that says False asks whether it is true.
"""

import ast
import collections

COMPARISONS = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt,
               ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.In: ast.NotIn, ast.NotIn: ast.In,
               ast.Is: ast.IsNot, ast.IsNot: ast.Is}
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.LShift: ast.RShift,
              ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
#: Calls of these only log: neither they nor what they are given is changed.
LOGS = {"ocf_log", "trace", "write_trace"}
#: What these are given is said to people; that they are called matters.
MESSAGES = {"ocf_exit_reason", "exit_configured", "refuse", "_refuse", "say", "Unreadable",
            "FindifError", "PacketError", "NothingToTell", "OSError", "TimeoutError",
            "ProviderError", "HandError"}
STATEMENTS = (ast.Expr, ast.Raise, ast.Continue, ast.Break, ast.AugAssign, ast.Delete)


class Mutant:
    """One change: the module's name and file in the package, the function (Class.method, or
    "module"), the line, what is changed in words, and the whole text of the changed module."""

    def __init__(self, module, file, function, line, what, text):
        self.module = module
        self.file = file
        self.function = function
        self.line = line
        self.what = what
        self.text = text

    def key(self):
        """Return what equivalents.txt names it by, without the line, which moves: the second of
        the same change in a function ends with (2)."""
        return f"{self.module} {self.function}: {self.what}"


def of_module(name, path):
    """Yield the Mutants of a module, given its name and its file."""
    file = f"{name.replace('.', '/')}/__init__.py" if path.name == "__init__.py" \
        else f"{name.replace('.', '/')}.py"
    source = path.read_text("utf-8")
    seen = set()
    alike = collections.Counter()
    for function, node, replacement in changes(ast.parse(source), "module"):
        before = " ".join(ast.unparse(getattr(node, "test", node)).split())
        after = " ".join(ast.unparse(getattr(replacement, "test", replacement)).split())
        text = replaced(source, node, replacement)
        if text in seen or text == source:
            continue
        seen.add(text)
        try:
            compile(text, str(path), "exec")
        except SyntaxError:
            continue
        what = f"{before} -> " + ("(left out)" if isinstance(replacement, ast.Pass) else after)
        alike[function, what] += 1
        number = alike[function, what]
        yield Mutant(name, file, function, node.lineno,
                     what if number == 1 else f"{what} ({number})", text)


def replaced(source, node, replacement):
    """Return the source with a node's text replaced; of a block only its condition."""
    if isinstance(node, (ast.If, ast.While)):
        node, replacement = node.test, replacement.test
    lines = source.encode().splitlines(keepends=True)
    begin = sum(map(len, lines[:node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[:node.end_lineno - 1])) + node.end_col_offset
    new = ast.unparse(replacement)
    new = f"({new})" if isinstance(node, ast.expr) and not isinstance(node, ast.Constant) else new
    data = source.encode()
    return (data[:begin] + new.encode() + data[end:]).decode()


def called(node):
    """Return the name of what a call calls, or "" for other nodes."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "attr", "") or getattr(function, "id", "")


def changes(node, function):
    """Yield (function, node, what takes its place) for all that is in a node."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        function = node.name if function == "module" else f"{function}.{node.name}"
    if called(node) in LOGS or isinstance(node, ast.Expr) and (
            isinstance(node.value, ast.Constant) or called(node.value) in LOGS):
        return
    for replacement in of_node(node):
        yield function, node, replacement
    if called(node) in MESSAGES or isinstance(node, (ast.JoinedStr, ast.ImportFrom, ast.Import)):
        return
    for field, value in ast.iter_fields(node):
        if field in ("decorator_list", "returns", "annotation"):
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.AST):
                yield from changes(inner, function)


def of_node(node):
    """Yield the nodes that may take the place of a node."""
    if isinstance(node, STATEMENTS):
        yield ast.Pass()
    elif isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            if type(operator) in COMPARISONS:
                yield ast.Compare(node.left, node.ops[:index] + [COMPARISONS[type(operator)]()]
                                  + node.ops[index + 1:], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for index in range(len(node.values) if len(node.values) > 2 else 0):
            yield ast.BoolOp(node.op, node.values[:index] + node.values[index + 1:])
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not is_text(node):
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(negated(node.test), node.body, node.orelse)
    elif isinstance(node, (ast.If, ast.While)):
        yield type(node)(negated(node.test), [ast.Pass()], [])
    elif isinstance(node, ast.Return) and node.value:
        if not (isinstance(node.value, ast.Constant)
                and (node.value.value is None or node.value.value is False)):
            yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.JoinedStr):
        yield ast.Constant("")
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int):
            yield ast.Constant(node.value + 1)
        elif isinstance(node.value, (str, bytes)) and node.value:
            yield ast.Constant(type(node.value)())


def negated(test):
    """Return the opposite of a condition."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(ast.Not(), test)


def is_text(node):
    """Tell whether an arithmetic node joins texts or lists."""
    return any(isinstance(side, (ast.JoinedStr, ast.List, ast.Tuple, ast.Constant))
               and not isinstance(getattr(side, "value", None), int)
               for side in (node.left, node.right))
