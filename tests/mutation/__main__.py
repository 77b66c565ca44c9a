# SPDX-License-Identifier: GPL-2.0-only
"""What do the unit tests see?  Mutants of the package, and how many of them are killed.

    python3 -m tests.mutation                       all modules; takes a while
    python3 -m tests.mutation vip actions.stop      these
    python3 -m tests.mutation --sample 300          300 of all mutants, picked at random (--seed)
    python3 -m tests.mutation --list vip            the mutants, and nothing is run

Each mutant is one small change in one function.  The quick unit tests that call the function run on
it until one fails: then it is killed.  Those that survive are printed; those that cannot matter are
in equivalents.txt, each with a reason.  Exit status: 0 where 95 % of the others are killed, else 1.

A mutant may do anything, so all happens in namespaces of its own (unshare(1)): no process, network
or mount of the host is within its reach.
"""

import argparse
import collections
import importlib
import os
import pathlib
import random
import subprocess
import sys
import tempfile

from . import mutants, run

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "ipaddr2_py"
INSIDE = "IPADDR2_MUTATION"     # set where the namespaces have been made
WANTED = 95.0                   # percent
#: Programs for an administrator's hand and for installing: slow tests look after them.
LEFT_OUT = ("provider", "hand", "changes.sh_import")


def arguments(argv):
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.mutation",
                                     description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as vip or actions.stop")
    parser.add_argument("--sample", type=int, metavar="N", help="take N mutants at random")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    parser.add_argument("--list", action="store_true", help="list the mutants and run nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at once (all CPUs)")
    return parser.parse_args(argv)


def modules():
    """Name -> file of each module that is mutated."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).replace(".__init__", "")
        if name != "__init__" and not name.startswith(LEFT_OUT):
            found[name] = path
    return found


def equivalents():
    """Mutant.key() -> why it cannot matter."""
    found = {}
    for line in (HERE / "equivalents.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            key, _, reason = line.partition("  # ")
            found[key] = reason
    return found


def in_namespaces(argv):
    """Run this program once more in namespaces of its own; its exit status."""
    options = ["--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--mount", "--ipc"]
    if os.geteuid():
        options.insert(0, "--map-root-user")
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.call(
            ["unshare", *options, "sh", "-c", 'ip link set lo up; exec "$@"', "sh",
             sys.executable, "-m", "tests.mutation", *argv],
            env=dict(os.environ, **{INSIDE: "1", "TMPDIR": folder}), cwd=HERE.parents[1])


def report(results, known):
    """Print the survivors and the score of each module; whether the whole is good enough."""
    scores = collections.defaultdict(collections.Counter)
    for mutant, outcome in results:
        if outcome == "survived" and mutant.key() in known:
            outcome = "equivalent"
        scores[mutant.module][outcome] += 1
        if outcome in ("survived", "not called"):
            print(f"{outcome}: ipaddr2_py/{mutant.module.replace('.', '/')}:{mutant.line} "
                  f"{mutant.key()}")
    total = collections.Counter()
    print(f"\n{'module':<24}{'killed':>8}{'survived':>10}{'equivalent':>12}{'score':>8}")
    for module, counts in sorted(scores.items()):
        total.update(counts)
        print_line(module, counts)
    print_line("all", total)
    return percent(total) >= WANTED


def percent(counts):
    """The killed among those that matter."""
    missed = counts["survived"] + counts["not called"]
    return 100 * counts["killed"] / max(1, counts["killed"] + missed)


def print_line(name, counts):
    """A line of the table."""
    print(f"{name:<24}{counts['killed']:>8}{counts['survived'] + counts['not called']:>10}"
          f"{counts['equivalent']:>12}{percent(counts):>7.1f}%")


def main(argv):
    """Make mutants, run tests on them, print; an exit status."""
    options = arguments(argv)
    known = modules()
    unknown = set(options.modules) - set(known)
    if unknown:
        print(f"no module {', '.join(sorted(unknown))}; there are: {', '.join(known)}",
              file=sys.stderr)
        return 2
    if not options.list and INSIDE not in os.environ:
        return in_namespaces(argv)
    made = [mutant for name in options.modules or known
            for mutant in mutants.of_module(name, known[name])]
    if options.sample and options.sample < len(made):
        made = random.Random(options.seed).sample(made, options.sample)
    if options.list:
        for mutant in made:
            print(f"{mutant.line}: {mutant.key()}")
        return 0
    for name in known:
        importlib.import_module("ipaddr2_py." + name)
    print(f"{len(made)} mutants", flush=True)
    return 0 if report(run.results(made, options.jobs), equivalents()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
