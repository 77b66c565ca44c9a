# SPDX-License-Identifier: GPL-2.0-only
"""Makes mutants of a module: one small change each, in one function, as code to be put in its
place.

What is changed: comparisons, `and` and `or`, conditions, arithmetic, True and False, values that
are returned, and statements that are left out.  What is only logged stays as it is.
"""

import ast

COMPARISONS = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt,
               ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.In: ast.NotIn, ast.NotIn: ast.In,
               ast.Is: ast.IsNot, ast.IsNot: ast.Is}
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.LShift: ast.RShift,
              ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
#: What these are told is for people alone.
LOGGING = {"ocf_log", "ocf_exit_reason", "exit_configured", "refuse", "_refuse", "trace", "say",
           "write_trace", "Unreadable", "FindifError", "PacketError", "NothingToTell", "OSError",
           "TimeoutError", "ProviderError"}


class Mutant:
    """One change: module, function (Class.method or name), line, what (text), and code, the code
    object of the changed function."""

    def __init__(self, module, function, line, what, code):
        self.module = module
        self.function = function
        self.line = line
        self.what = what
        self.code = code

    def key(self):
        """What equivalents.txt names it by: without a line, which changes."""
        return f"{self.module} {self.function}: {self.what}"


class Swap:
    """An attribute of a node, or an entry of a list, that gets another value for a while."""

    def __init__(self, owner, place, new, node):
        self.owner = owner
        self.place = place
        self.new = new
        self.node = node        # what is shown before and after
        self.old = owner[place] if isinstance(owner, list) else getattr(owner, place)

    def put(self, value):
        """Set the value."""
        if isinstance(self.owner, list):
            self.owner[self.place] = value
        else:
            setattr(self.owner, self.place, value)


def functions(tree):
    """(name, node) of each function and method of a module."""
    for node in tree.body:
        inside = [("", node)] if isinstance(node, ast.FunctionDef) else \
            [(node.name + ".", one) for one in node.body] if isinstance(node, ast.ClassDef) else []
        for prefix, one in inside:
            if isinstance(one, ast.FunctionDef):
                yield prefix + one.name, one


def of_module(name, path):
    """The Mutants of a module, given its name and its file."""
    tree = ast.parse(path.read_text("utf-8"), str(path))
    for function, node in functions(tree):
        for swap in swaps(node):
            before = shown(swap.node)
            swap.put(swap.new)
            after = "(left out)" if isinstance(swap.new, ast.Pass) else shown(swap.node)
            try:
                code = compile(ast.fix_missing_locations(tree), str(path), "exec")
            except (SyntaxError, ValueError, TypeError):
                continue
            finally:
                swap.put(swap.old)
            yield Mutant(name, function, swap.node.lineno, f"{before} -> {after}",
                         inner_code(code, function))


def inner_code(code, function):
    """The code object of a function in that of its module."""
    for name in function.split("."):
        code = next(one for one in code.co_consts if getattr(one, "co_name", "") == name)
    return code


def shown(node):
    """A statement or expression in one line; of a block its condition."""
    node = getattr(node, "test", node)
    return " ".join(ast.unparse(node).split())


def called(node):
    """The name of what a call calls, "" for other nodes."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "attr", "") or getattr(function, "id", "")


def swaps(node):
    """The Swaps that mutate what is in a node."""
    found = list(of_node(node))
    for field, value in ast.iter_fields(node):
        if field in ("decorator_list", "returns", "annotation") or \
                field == "args" and isinstance(node, ast.FunctionDef):
            continue
        inside = value if isinstance(value, list) else [value]
        for index, inner in enumerate(inside):
            if not isinstance(inner, ast.AST) or called(inner) in LOGGING:
                continue
            if isinstance(inner, ast.Expr):
                if isinstance(inner.value, ast.Constant) or called(inner.value) in LOGGING:
                    continue        # a docstring; a log line
            if isinstance(inner, (ast.Expr, ast.Raise, ast.Continue, ast.Break, ast.AugAssign)):
                found.append(Swap(value, index, ast.copy_location(ast.Pass(), inner), inner))
            found += swaps(inner)
    return found


def of_node(node):
    """The Swaps of a node itself."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            if type(operator) in COMPARISONS:
                yield Swap(node.ops, index, COMPARISONS[type(operator)](), node)
    elif isinstance(node, ast.BoolOp):
        yield Swap(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And(), node)
        if len(node.values) > 2:
            for index in range(len(node.values)):
                yield Swap(node, "values", node.values[:index] + node.values[index + 1:], node)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not is_text(node):
        yield Swap(node, "op", ARITHMETIC[type(node.op)](), node)
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        inverse = node.test.operand if isinstance(node.test, ast.UnaryOp) and \
            isinstance(node.test.op, ast.Not) else ast.UnaryOp(ast.Not(), node.test)
        yield Swap(node, "test", inverse, node)
    elif isinstance(node, ast.Return) and node.value and not isinstance(node.value, ast.Constant):
        yield Swap(node, "value", ast.Constant(None), node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield Swap(node, "value", not node.value, node)


def is_text(node):
    """Whether an arithmetic node joins texts or lists."""
    return any(isinstance(side, (ast.JoinedStr, ast.List, ast.Constant))
               and not isinstance(getattr(side, "value", 0), int)
               for side in (node.left, node.right))
