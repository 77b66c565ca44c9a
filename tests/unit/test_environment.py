# SPDX-License-Identifier: GPL-2.0-only
"""The environment as the agent takes it, and the programs it finds there."""

import contextlib
import os
import sys
import threading
import time

import pytest

from ipaddr2_py import children, commands
from ipaddr2_py.commands import CHILD_ENV, ENV, find, is_file, load_environment, to_bytes
from ipaddr2_py.ocf import write_all


@pytest.fixture
def folders(tmp_path):
    """Two folders, named one and two, each with programs."""
    for name in ("one/both", "two/both", "one/first", "two/second", "one/plain", "two/plain"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o644 if name == "one/plain" else 0o755)
    (tmp_path / "one/folder").mkdir()
    return tmp_path


def test_bytes_and_text_are_taken():
    load_environment({b"A": b"\xc3\xa9\xff", "B": "\u00e9"})
    assert (ENV["A"], ENV["B"]) == ("\u00e9\udcff", "\u00e9")
    assert to_bytes(ENV["A"]) == CHILD_ENV[b"A"] == b"\xc3\xa9\xff"
    assert CHILD_ENV[b"B"] == b"\xc3\xa9"


def test_the_one_before_is_forgotten(folders):
    load_environment({"PATH": str(folders / "one"), "X": "1"})
    assert find("first")
    load_environment({"PATH": str(folders / "two")})
    assert "X" not in ENV and b"X" not in CHILD_ENV
    assert not find("first") and find("second")


@pytest.mark.parametrize("path, expected", [
    (None, ""), ("", ""), ("/a:/b", "/a:/b:"), (".:/a::b:../c:/d", "/a:/d:"), (":", "")])
def test_path_has_absolute_folders_and_the_usual_ones(path, expected):
    load_environment({} if path is None else {"PATH": path})
    assert ENV["PATH"] == CHILD_ENV[b"PATH"].decode() == expected + "/sbin:/bin:/usr/sbin:/usr/bin"


def test_childrens_language():
    load_environment({"LANG": "de_DE", "LANGUAGE": "de", "LC_ALL": "de_DE", "LC_TIME": "de_DE"})
    assert CHILD_ENV == {b"LC_ALL": b"C", b"LC_TIME": b"de_DE",
                         b"PATH": commands.USUAL_PATH.encode()}


@pytest.mark.parametrize("name, found", [
    ("both", "one/both"), ("first", "one/first"), ("second", "two/second"),
    ("plain", "two/plain"),         # what cannot be executed is passed over
    ("folder", ""), ("none", ""), ("", ""), (".", ""), ("..", ""), ("one/first", ""),
    ("./first", ""), ("a\0b", "")])
def test_find(folders, monkeypatch, name, found):
    monkeypatch.chdir(folders)
    load_environment({"PATH": "%s/one:one:%s/two" % (folders, folders)})
    for _ in range(2):
        assert find(name) == (str(folders / found) if found else "")


def test_find_a_path(folders):
    assert find(str(folders / "one/first")) == str(folders / "one/first")
    assert find(str(folders / "one/plain")) == ""
    assert find(str(folders / "one")) == ""


def test_is_file(folders):
    (folders / "link").symlink_to("one/first")
    (folders / "dangling").symlink_to("nowhere")
    assert is_file(str(folders / "one/first")) and is_file(str(folders / "link"))
    for name in ("one", "dangling", "none", "x" * 300, "a\0b"):
        assert not is_file(str(folders / name)), name
    assert not is_file("/dev/null")


# --- write_all -------------------------------------------------------------------------------


@pytest.fixture
def pipe(request):
    """(reading end, writing end); the first does not block."""
    ends = os.pipe()
    for end in ends:
        request.addfinalizer(lambda end=end: os.close(end))
    os.set_blocking(ends[0], False)
    return ends


def fill(fd):
    os.set_blocking(fd, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, bytes(4096))
    os.set_blocking(fd, True)


def test_a_long_text_arrives_whole(pipe, tmp_path):
    text = "x" * 10000 + "\u00e9\udcff\n"
    write_all(pipe[1], text)
    assert os.read(pipe[0], 1 << 17) == to_bytes(text)
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    write_all(fd, text)
    os.close(fd)
    assert (tmp_path / "log").read_bytes() == to_bytes(text)


def test_what_nobody_reads_is_waited_for_once(pipe):
    """Then it is dropped, at once; what there is room for again is written."""
    fill(pipe[1])
    begin = time.monotonic()
    write_all(pipe[1], "one\n")
    waited = time.monotonic() - begin
    assert 0.15 < waited < 5        # of the 0.2 s of a test
    begin = time.monotonic()
    for _ in range(20):
        write_all(pipe[1], "two\n")
    assert time.monotonic() - begin < 0.15
    with contextlib.suppress(BlockingIOError):
        while os.read(pipe[0], 65536):
            pass
    write_all(pipe[1], "three\n")
    assert os.read(pipe[0], 65536) == b"three\n"


def test_one_that_reads_late_gets_it(pipe, monkeypatch):
    monkeypatch.setattr(children.RUN, "patience", 20.0)
    fill(pipe[1])
    reader = threading.Timer(0.1, os.read, (pipe[0], 65536))
    reader.start()
    write_all(pipe[1], "line\n")
    reader.join()
    assert 0 < children.RUN.patience < 20
    assert os.read(pipe[0], 65536).endswith(b"line\n")


def test_a_reader_that_is_gone(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    write_all(writer, "x\n")
    os.close(writer)
    write_all(writer, "closed\n")
    assert children.RUN.patience == 0.2


def test_where_poll_cannot_be_had(pipe, monkeypatch):
    """Out of descriptors: the line that tells it is written all the same."""
    monkeypatch.setitem(sys.modules, "select", None)
    write_all(pipe[1], "line\n")
    assert os.read(pipe[0], 100) == b"line\n"


# --- words -----------------------------------------------------------------------------------

#: White space to str, and no more than a letter to the kernel (dev_valid_name() of Linux).
ODD_BLANKS = "\u2003\u3000\u2028\u2029\u0085\x1c\x1d\x1e\x1f"


@pytest.mark.parametrize("text, words", [
    ("", []), (" ", []), (commands.BLANKS, []), ("a", ["a"]), (" a\tb\n", ["a", "b"]),
    ("a\rb\vc\fd", ["a", "b", "c", "d"]), ("a" + ODD_BLANKS + "b", ["a" + ODD_BLANKS + "b"]),
    (ODD_BLANKS, [ODD_BLANKS]), ("\udcff \udc85 \u00e9", ["\udcff", "\udc85", "\u00e9"])])
def test_words(text, words):
    """Parted by ASCII's white space alone, and any byte comes back as it was."""
    assert commands.split(text) == words


def test_blanks_are_what_words_are_parted_by():
    for number in range(0x110000):
        if 0xd800 <= number < 0xdc80 or 0xdcff < number < 0xe000:
            continue            # stands for no byte
        parts = len(commands.split("a" + chr(number) + "b")) == 2
        if parts is not (chr(number) in commands.BLANKS):
            pytest.fail("%#x" % number)


def test_names_and_values_of_any_bytes():
    load_environment({b"\xff": b"\xfe", "\udcfd": "\udcfc"})
    for found in (ENV, commands.child_env_text()):
        assert (found["\udcff"], found["\udcfd"]) == ("\udcfe", "\udcfc")


@pytest.mark.parametrize("word, line", [
    ("", "''"), ("a", "a"), ("\u00e9", "'\u00e9'"), ("-a_b./:=+,@%", "-a_b./:=+,@%"),
    ("--", "--"), ("a b", "'a b'"), ("it's", "'it'\"'\"'s'")])
def test_words_that_can_be_pasted(word, line):
    assert commands.quoted([word]) == line


def test_a_question_is_begun_once(monkeypatch):
    begun = []

    class Started:
        def __init__(self, argv):
            begun.append(argv)
            self.pid = 7

    monkeypatch.setattr(commands, "_Started", Started)
    monkeypatch.setattr(commands.RUN, "prefetched", {})
    monkeypatch.setattr(commands.RUN, "started", [])
    for argv in (["ip", "a"], ["ip", "b"], ["ip", "a"]):
        commands.prefetch(argv)
    assert begun == [["ip", "a"], ["ip", "b"]]
    assert len(commands.RUN.started) == 2


@pytest.mark.parametrize("out, err, shown", [
    ("", "", "= 3\n"), ("a\nb\n", "c\n", "| a\n| b\n| c\n= 3\n"), ("a", "", "| a\n= 3\n")])
def test_what_a_trace_shows_of_a_command(out, err, shown):
    told = commands.transcript(["ip", "a b"], children.Result(3, out, err))
    assert told == "+ ip 'a b'\n" + shown
