# SPDX-License-Identifier: GPL-2.0-only
"""Where the milliseconds of each action of ours go: interpreter, imports, children, the rest.

Three kinds of runs in turn: untouched, for what an action takes; by inside.py, for its parts; with
-X importtime, for the modules one by one.  All are medians, in milliseconds.
"""

import ast
import collections
import pathlib
import statistics
import subprocess

from . import agents, measure, rounds

HERE = pathlib.Path(__file__).resolve().parent
TOP = 12            # modules listed for an action
SHOWN = 0.05        # what takes less in the median goes into one line
EXIT = "import posix; posix._exit(0)"


def profile(agent, folder, made, runs):
    """The breakdown of every action as text; made is the Hosts that a host is made in."""
    host, _ = made.pair()
    host.enter()
    bench = rounds.Bench({"ours": agent}, folder)
    python = agents.interpreter_of(agent)
    parts = collections.defaultdict(list)           # row -> list of {what: (time, CPU)}
    modules = collections.defaultdict(list)         # row -> list of {module: time}
    bare = []
    usual = set(module_times([python, "-IS", "-X", "importtime", "-c", "pass"], {}))

    def by_parts(key, argv, env, _expected):
        parts[key[0]].append(part_times(python, argv, env, folder))

    def by_modules(key, argv, env, _expected):
        found = module_times([python, "-IS", "-X", "importtime", *argv], env)
        modules[key[0]].append({name: found[name] for name in found if name not in usual})

    for _ in range(runs):
        bare.append(measure.run([python, "-IS", "-c", EXIT], {}))
        for keep in (None, by_parts, by_modules):
            for told in rounds.ACTIONS:
                bench.act("ours", told, keep)
    return "\n\n".join(
        section(row, bench, bare, parts[row], modules[row])
        for row, _, _ in rounds.ACTIONS)


def part_times(python, argv, env, folder):
    """What -> (time, CPU of the agent itself), from one run by inside.py."""
    report = folder / "inside"
    report.unlink(missing_ok=True)
    subprocess.run([python, "-IS", str(HERE / "inside.py"), str(report), *argv], env=env,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=measure.LIMIT)
    measure.left_behind()
    spans = ast.literal_eval(report.read_text())["spans"]
    return {what: (taken / 1e6, cpu / 1e6) for what, (taken, cpu) in spans.items()}


def module_times(argv, env):
    """Module -> milliseconds of its own import, from -X importtime."""
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, timeout=measure.LIMIT)
    measure.left_behind()
    return parse_importtime(done.stderr)


def parse_importtime(text):
    """Module -> milliseconds, from lines `import time: MICROSECONDS | CUMULATIVE | MODULE`."""
    found = {}
    for line in text.splitlines():
        words = [word.strip() for word in line.partition("import time:")[2].split("|")]
        if len(words) == 3 and words[0].isdigit():
            found[words[2]] = int(words[0]) / 1e3
    return found


def section(row, bench, bare, parts, modules):
    """One action's text."""
    wall, cpu = (statistics.median(values[row, "ours"]) for values in (bench.wall, bench.cpu))
    told = {"interpreter, start and end": (statistics.median(one.wall for one in bare),
                                           statistics.median(one.cpu for one in bare))}
    told.update(medians(parts))
    own = sum(spent[1] for spent in told.values())
    told["programs it starts"] = (0.0, max(0.0, cpu - own))
    lines = ["%s" % row, "  %8s%8s" % ("time", "CPU"), "  %8.2f%8.2f  in all" % (wall, cpu)]
    lines += listed(told)
    found = {name: spent for name, (spent,) in medians(
        [{name: (spent,) for name, spent in one.items()} for one in modules]).items()}
    lines.append("  modules (%d, %.2f ms by themselves): %s" % (
        len(found), sum(found.values()),
        ", ".join("%s %.2f" % (name, found[name]) for name in
                  sorted(found, key=found.get, reverse=True)[:TOP])))
    return "\n".join(lines)


def medians(found):
    """What -> medians over all runs, in the order of the first run; absent counts as 0."""
    width = len(next(iter(found[0].values())))
    names = dict.fromkeys(name for one in found for name in one)
    return {name: tuple(statistics.median(one.get(name, (0.0,) * width)[place] for one in found)
                        for place in range(width)) for name in names}


def listed(values):
    """Lines of what takes long enough, and one for the others together."""
    lines, rest = [], [0.0, 0.0]
    for name, spent in values.items():
        if max(spent) >= SHOWN:
            lines.append("  %8.2f%8.2f  %s" % (*spent, name))
        else:
            rest = [one + other for one, other in zip(rest, spent)]
    return lines + (["  %8.2f%8.2f  others" % tuple(rest)] if max(rest) >= SHOWN / 2 else [])
