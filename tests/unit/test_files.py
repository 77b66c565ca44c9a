# SPDX-License-Identifier: GPL-2.0-only
"""Notes and locks in HA_RSCTMP."""

import os
import pathlib
import posix
import subprocess
import sys
import threading
import time

import pytest

from ipaddr2_py import children, commands, ocf
from ipaddr2_py.changes import files


# --- files -----------------------------------------------------------------------------------


def test_writing_a_file(tmp_path):
    path = str(tmp_path / "file")
    for text in ("a long text\n", "short", "\u00e9\udcff"):
        files.write_file(path, text)
        assert files.read_file(path) == text
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert files.read_file(path, 2) == "\u00e9"


def test_no_file_is_left_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    files.write_file(str(tmp_path / "file"), "text")
    files.read_file(str(tmp_path / "file"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_was_left_beside_a_file_is_replaced(tmp_path):
    """By an agent that was killed, or a link by somebody else."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "file~").symlink_to("precious")
    files.replace_file(str(tmp_path / "file"), "new")
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "precious").read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["file", "precious"]


def test_a_file_is_written_as_a_whole_or_not_at_all(fp, host, tmp_path, monkeypatch):
    def no_room(_fd, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.posix, "write", no_room)
    with pytest.raises(OSError):
        files.write_file(str(tmp_path / "file"), "text")
    monkeypatch.undo()
    assert not (tmp_path / "file").exists()


def test_a_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    beside = tmp_path / "file~"
    beside.write_text("of a process that was killed")
    seen = []
    real = posix.write

    def write(fd, data):
        seen.append(path.read_text())
        return real(fd, data[:1])       # as a disk that is nearly full may

    monkeypatch.setattr(files.posix, "write", write)
    mask = os.umask(0o777)
    try:
        files.replace_file(str(path), "new")
    finally:
        os.umask(mask)
    assert path.read_text() == "new" and seen == ["old"] * 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("what", ["write", "rename"])
def test_a_file_that_cannot_be_replaced_stays(tmp_path, monkeypatch, what):
    path = tmp_path / "file"
    path.write_text("old")

    def fails(*_words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.posix, what, fails)
    with pytest.raises(OSError):
        files.replace_file(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced_itself(tmp_path):
    (tmp_path / "precious").write_text("precious")
    for name in ("link", "link~%d" % os.getpid()):
        (tmp_path / name).symlink_to("precious")
    files.replace_file(str(tmp_path / "link"), "new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "link").read_text() == "new"


def test_links_on_request(tmp_path):
    (tmp_path / "there").write_text("text")
    (tmp_path / "link").symlink_to("there")
    assert files.read_file(str(tmp_path / "link")) == ""
    assert files.read_file(str(tmp_path / "link"), links=True) == "text"


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError):
        files.write_file(str(tmp_path / "fifo"), "text")


def test_a_folder_that_is_a_link_is_not_used(host, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    commands.ENV["HA_RSCTMP"] = str(tmp_path / "link") + "/"
    commands.ENV["HA_LOGFILE"] = str(tmp_path / "log")
    ocf.setup()
    for _ in range(2):
        with pytest.raises(OSError):
            files.write_file(files.state_file("name"), "text")
    assert not list((tmp_path / "there").iterdir())
    assert (tmp_path / "log").read_text().count("ERROR: HA_RSCTMP is a symbolic link") == 1


def test_links_are_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to("precious")
    with pytest.raises(OSError):
        files.write_file(str(tmp_path / "link"), "x")
    with pytest.raises(OSError):
        with files.ocf_take_lock(str(tmp_path / "link")):
            pass
    assert files.read_file(str(tmp_path / "link")) == ""
    assert files.remove_file(str(tmp_path / "link"))
    assert (tmp_path / "precious").read_text() == "precious"


def test_what_cannot_be_read_is_empty(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "none", "a\0b"):
        assert files.read_file(str(path)) == ""


def test_removing(fp, host, tmp_path):
    (tmp_path / "file").write_text("")
    assert files.remove_file(str(tmp_path / "file"))
    assert files.remove_file(str(tmp_path / "file"))
    assert not files.remove_file(str(tmp_path / "rsctmp"))
    assert "WARNING: could not remove" in (tmp_path / "log").read_text()


def test_the_folder_of_state_is_made(tmp_path):
    commands.load_environment({"HA_RSCTMP": str(tmp_path / "state")})
    mask = os.umask(0)
    try:
        assert files.state_file("x") == str(tmp_path / "state/x")
    finally:
        os.umask(mask)
    assert os.stat(tmp_path / "state").st_mode & 0o7777 == 0o1755


# --- locks -----------------------------------------------------------------------------------


def test_one_at_a_time(fp, host, tmp_path):
    path, order = str(tmp_path / "lock"), []

    def second():
        with files.ocf_take_lock(path):
            order.append("second")

    thread = threading.Thread(target=second)
    with files.ocf_take_lock(path):
        thread.start()
        end = time.monotonic() + 5
        while not (tmp_path / "log").exists() and time.monotonic() < end:
            time.sleep(0.002)       # it tells that it waits
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    assert "INFO: waiting for the lock " + path in (tmp_path / "log").read_text()


def test_a_lock_is_released_by_an_exception(tmp_path):
    path = str(tmp_path / "lock")
    children.set_deadline(1)
    for _ in range(2):
        with pytest.raises(KeyError):
            with files.ocf_take_lock(path):
                assert os.stat(path).st_mode & 0o777 == 0o600
                raise KeyError
        assert not os.path.exists(path)


def test_waiting_has_an_end(fp, host, tmp_path):
    path = str(tmp_path / "lock")
    children.set_deadline(0.05)
    before = len(os.listdir("/proc/self/fd"))
    with files.ocf_take_lock(path):
        with pytest.raises(TimeoutError):
            with files.ocf_take_lock(path):
                pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_waiting_for_so_many_seconds(fp, host, tmp_path, clock):
    path = str(tmp_path / "lock")
    children.set_deadline(1000)
    with files.ocf_take_lock(path):
        began = clock.monotonic()
        with pytest.raises(TimeoutError, match="held by another process"):
            with files.ocf_take_lock(path, 2.0):
                pass
        assert 2.0 <= clock.monotonic() - began < 2.1
    assert (tmp_path / "log").read_text().count("waiting for the lock") == 1


def test_locks_that_are_held_are_known(fp, host, tmp_path):
    """A child that outlives the agent lets go of them."""
    with files.ocf_take_lock(str(tmp_path / "lock")) as lock:
        assert children.RUN.locks == {lock.fd}
    assert not children.RUN.locks


def test_a_file_that_was_removed_is_no_lock(tmp_path):
    """Who has opened it is not to be alone with it, as a third may have made another file."""
    path = str(tmp_path / "lock")
    with open(path, "w", encoding="ascii") as file:
        assert files.is_current(file.fileno(), path)
        os.unlink(path)
        assert not files.is_current(file.fileno(), path)
        (tmp_path / "lock").write_text("of a third")
        assert not files.is_current(file.fileno(), path)
        os.unlink(path)
        os.symlink("/dev/fd/%d" % file.fileno(), path)
        assert not files.is_current(file.fileno(), path)


def test_a_lock_whose_file_went_while_it_was_taken(fp, host, tmp_path, monkeypatch):
    """The one that is had in the end is that of the file which is there."""
    path, real = str(tmp_path / "lock"), files.fcntl.flock
    children.set_deadline(5)

    def flock(fd, operation):
        if not os.path.exists(path + ".old"):
            os.rename(path, path + ".old")      # the holder's last deed
        return real(fd, operation)

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with files.ocf_take_lock(path) as lock:
        assert os.fstat(lock.fd).st_ino == os.stat(path).st_ino != os.stat(path + ".old").st_ino


def test_a_lock_ends_with_its_holder(tmp_path):
    """Children do not inherit it, and the kernel releases it however the holder ends."""
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys, subprocess\nfrom ipaddr2_py import commands\n"
         "from ipaddr2_py.changes import files\n"
         "commands.load_environment({'PATH': '/usr/bin:/bin'})\n"
         "with files.ocf_take_lock(sys.argv[1]):\n"
         "    started = commands.query_start(['sleep', '60'])\n"
         "    print(started.pid, flush=True)\n    sys.stdin.read()", str(path)],
        cwd=pathlib.Path(files.__file__).parents[2],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = int(holder.stdout.readline())
    try:
        holder.kill()
        holder.communicate()
        children.set_deadline(2)
        with files.ocf_take_lock(str(path)):
            assert os.path.exists("/proc/%d" % child)
    finally:
        posix.kill(child, 9)


# --- files below /proc -----------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 7, 4096])
@pytest.mark.parametrize("limit, expected", [(65536, 100), (100, 100), (99, 99), (8, 8), (0, 0)])
def test_a_file_that_comes_page_by_page(tmp_path, monkeypatch, page, limit, expected):
    """As the kernel's seq_file does: what is short is not the end."""
    (tmp_path / "file").write_text("0123456789" * 10)
    real = posix.read
    monkeypatch.setattr(posix, "read", lambda fd, size: real(fd, min(size, page)))
    assert files.read_file(str(tmp_path / "file"), limit) == ("0123456789" * 10)[:expected]


def test_characters_that_two_pages_share(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("\u00e9\u2003" * 10)
    real = posix.read
    monkeypatch.setattr(posix, "read", lambda fd, size: real(fd, min(size, 2)))
    assert files.read_file(str(tmp_path / "file")) == "\u00e9\u2003" * 10


def test_a_page_that_cannot_be_read(tmp_path, monkeypatch):
    """Half of a file is none."""
    (tmp_path / "file").write_text("text")
    real, left = posix.read, [2]

    def read(fd, size):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(5, "Input/output error")
        return real(fd, min(size, 1))

    monkeypatch.setattr(posix, "read", read)
    before = len(os.listdir("/proc/self/fd"))
    assert files.read_file(str(tmp_path / "file")) == ""
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_of_the_kernels_own_is_read_to_its_end():
    """kallsyms is larger than any page that the kernel hands out."""
    text = files.read_file("/proc/kallsyms", 200000)
    if not text:
        pytest.skip("no /proc/kallsyms here")
    assert len(text) == 200000
