# SPDX-License-Identifier: GPL-2.0-only
"""Runs an agent of ours in this interpreter and notes what it loads, starts and waits for.

    python3 -IS tests/bench/inside.py REPORT AGENT ACTION

REPORT is written when the agent ends, as the text of a dict: spans (what -> [ns spent on it, ns of
CPU], what is inside it left out), modules (names loaded beyond those that the interpreter has),
programs (argv of each that was started), forks (their number).
tests/unit/test_lean.py reads it as well, so that nothing is imported here that -IS has not loaded.
"""

import builtins
import posix
import sys
import time

LOADED = set(sys.modules)
PID = posix.getpid()
OWN = "the agent's own work"

spans = {}
stack = [OWN]               # what is under way, innermost last
programs, forks = [], []
depth = 0                   # of nested imports
real_import, real_exit, real_sleep = builtins.__import__, posix._exit, time.sleep
since = time.monotonic_ns(), time.process_time_ns()


def tick():
    """Note what was spent since the last call on what is under way."""
    global since
    now = time.monotonic_ns(), time.process_time_ns()
    spent = spans.setdefault(stack[-1], [0, 0])
    for clock in (0, 1):
        spent[clock] += now[clock] - since[clock]
    since = now


def enter(what):
    """From here on time belongs to `what`."""
    tick()
    stack.append(what)


def leave():
    """Time belongs to what was under way before."""
    tick()
    stack.pop()


def within(what, function):
    """The function, with its time noted; what(words) names it after its arguments."""
    def call(*words, **more):
        enter(what(words))
        try:
            return function(*words, **more)
        finally:
            leave()
    return call


def waiting(*_words):
    """The name for time that is spent on waiting within what is under way."""
    name = stack[-1]
    return name if name.endswith(": waiting") else name + ": waiting"


def noted_import(name, globals=None, locals=None, fromlist=(), level=0):
    """__import__ that notes the outermost import's time, where it loads anything."""
    global depth
    if depth or (name in sys.modules and not fromlist):
        return real_import(name, globals, locals, fromlist, level)
    loaded = len(sys.modules)
    depth += 1
    enter("import " + (name or " ".join(fromlist or ())))
    try:
        return real_import(name, globals, locals, fromlist, level)
    finally:
        leave()
        depth -= 1
        if len(sys.modules) > loaded:
            for door in ("ipaddr2_py.commands", "ipaddr2_py.changes"):
                watch(sys.modules.get(door))


def watch(door):
    """Note the time of a module that starts programs, once it has its functions; once."""
    last = {"ipaddr2_py.commands": "replace", "ipaddr2_py.changes": "kill_unreaped"}
    if not hasattr(door, last.get(getattr(door, "__name__", ""), "-")) or hasattr(door, "watched"):
        return
    door.watched = True
    for name, verb in (("query", "ask"), ("prefetch", "ask"), ("query_start", "start"),
                       ("run", "change")):
        if hasattr(door, name):
            setattr(door, name, within(
                lambda words, verb=verb: "%s %s" % (verb, " ".join(words[0])),
                getattr(door, name)))
    if hasattr(door, "query_end"):
        door.query_end = within(lambda words: "start " + " ".join(words[0].argv), door.query_end)
        door.detach = within(lambda _words: "fork, for the background", door.detach)
        watch_waiting()


def watch_waiting():
    """Note the time that the agent waits for the answers of programs."""
    import select

    real_poll = select.poll

    class Poll:
        """select.poll() that notes how long it waits."""

        def __init__(self):
            poll = real_poll()
            self.register, self.unregister = poll.register, poll.unregister
            self.poll = within(waiting, poll.poll)

    select.poll = Poll


def heard(event, words):
    """Audit hook: programs and forks."""
    if event == "os.posix_spawn":
        programs.append([word.decode() if isinstance(word, bytes) else word for word in words[1]])
    elif event in ("os.exec", "os.system", "subprocess.Popen"):
        programs.append([event])
    elif event in ("os.fork", "os.forkpty"):
        forks.append(event)


def reported_exit(code):
    """_exit that writes the report before; a forked child has nothing to report."""
    if posix.getpid() == PID:
        tick()
        modules = sorted(set(sys.modules) - LOADED)
        with open(REPORT, "w", encoding="utf-8") as file:
            file.write(repr({"spans": spans, "modules": modules, "programs": programs,
                             "forks": len(forks)}))
    real_exit(code)


REPORT, agent = sys.argv[1:3]
sys.argv[:] = sys.argv[2:]
sys.addaudithook(heard)
builtins.__import__ = noted_import
time.sleep = within(waiting, real_sleep)
posix._exit = reported_exit
with open(agent, encoding="utf-8") as source:
    text = source.read()
# Not compile(), which makes Python's classes of syntax trees first; leave() is where #! was.
enter("compile " + agent.rpartition("/")[2])
exec("leave()" + text[text.index("\n"):], {"__name__": "__main__", "__file__": agent,
                                           "leave": leave})
