# SPDX-License-Identifier: GPL-2.0-only
"""What do the unit tests see?  Mutants of the package are made, and those killed are counted.

    python3 -m tests.mutation                       all modules, for most of an hour
    python3 -m tests.mutation vip actions           these; a folder stands for all that is in it
    python3 -m tests.mutation --sample 300 --seed 2 300 of them, picked at random
    python3 -m tests.mutation --only ip_stop        those whose place or change has this text
    python3 -m tests.mutation --again FILE          those that survived, by a former output
    python3 -m tests.mutation --list vip            they are listed, and nothing is run

Each mutant is one small change.  Of the unit tests those that ran the changed statement, as
coverage.py saw it, run on the mutant until one fails, which kills it.  Those that survive are
printed.  Those that cannot matter are in equivalents.txt, each with a reason.  The exit status is
0 where 95 % of the others are killed, else 1.  `bin/test` installs what this needs.
"""

import argparse
import collections
import os
import pathlib
import random
import sys

from . import mutants, run

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "ipaddr2_py"
WANTED = 95.0                   # percent
#: Programs for an administrator's hand and for installing, which slow tests look after.
LEFT_OUT = ("provider", "hand", "changes.sh_import")


def arguments(argv):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.mutation",
                                     description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as vip or actions.stop")
    parser.add_argument("--list", action="store_true", help="list the mutants and run nothing")
    parser.add_argument("--only", metavar="TEXT", default="",
                        help="take those that have this text in what --list prints")
    parser.add_argument("--again", metavar="FILE", type=pathlib.Path,
                        help="take those that survived, by the output of a former run")
    parser.add_argument("--sample", type=int, metavar="N", help="take N mutants at random")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample (1)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once (2)")
    return parser.parse_args(argv)


def modules():
    """Return name -> file of each module that can be mutated."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).replace(".__init__", "")
        if name != "__init__":
            found[name] = path
    return found


def chosen(asked):
    """Return name -> file of the modules asked for, or of all but LEFT_OUT."""
    found = modules()
    unknown = [one for one in asked if not any((name + ".").startswith(one + ".")
                                               for name in found)]
    if unknown:
        raise SystemExit(f"no module {', '.join(unknown)}; there are: {', '.join(found)}")
    return {name: path for name, path in found.items()
            if any((name + ".").startswith(one + ".") for one in asked)
            or not asked and not name.startswith(LEFT_OUT)}


def equivalents():
    """Return Mutant.key() -> why it cannot matter."""
    found = {}
    for line in (HERE / "equivalents.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            key, _, reason = line.rpartition("  # ")
            if not key or not reason:
                raise SystemExit(f"equivalents.txt: no reason: {line}")
            found[key] = reason
    return found


def shown(mutant, paths):
    """Return the place and the change of a mutant in one line."""
    return f"{paths[mutant.module].relative_to(PACKAGE.parent)}:{mutant.line} {mutant.key()}"


def percent(counts):
    """Return the killed among those that matter, in percent."""
    matter = counts["killed"] + counts["survived"]
    return 100 * counts["killed"] / matter if matter else 100.0


def print_table(scores):
    """Print the score of each module and of all; return that of all."""
    print(f"\n{'module':<24}{'killed':>8}{'survived':>10}{'equivalent':>12}{'score':>8}")
    total = sum(scores.values(), collections.Counter())
    for name, counts in [*sorted(scores.items()), ("all", total)]:
        print(f"{name:<24}{counts['killed']:>8}{counts['survived']:>10}"
              f"{counts['equivalent']:>12}{percent(counts):>7.1f}%")
    return percent(total)


def main(argv):
    """Make mutants, run tests on them, print what became of them; return an exit status."""
    options = arguments(argv)
    paths = chosen(options.modules)
    made = [mutant for name, path in paths.items() for mutant in mutants.of_module(name, path)
            if options.only in shown(mutant, paths)]
    if options.again:
        listed = {line.partition(" ")[2].partition(" ")[2]
                  for line in options.again.read_text("utf-8").splitlines()
                  if line.startswith("survived: ")}
        made = [mutant for mutant in made if mutant.key() in listed]
    if options.sample and options.sample < len(made):
        made = random.Random(options.seed).sample(made, options.sample)
    if options.list:
        for mutant in made:
            print(shown(mutant, paths))
        return 0
    print(f"{len(made)} mutants", flush=True)
    scores = collections.defaultdict(collections.Counter)
    try:
        for mutant, outcome in run.results(made, equivalents(), options.jobs):
            scores[mutant.module][outcome] += 1
            if outcome == "survived":
                print(f"survived: {shown(mutant, paths)}", flush=True)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if print_table(scores) >= WANTED else 1


if __name__ == "__main__":
    os.chdir(PACKAGE.parent)
    sys.exit(main(sys.argv[1:]))
