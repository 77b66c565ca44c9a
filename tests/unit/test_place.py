# SPDX-License-Identifier: GPL-2.0-only
"""The note of start: whatever is in its place, it tells where to look or counts for nothing."""

import itertools
import os
import posix
import random
import re
import string

import pytest

from ipaddr2_py import changes, commands, place, vip
from ipaddr2_py.actions import start
from tests.unit.scenes import BRD4, DAD6, DELETE4, ON_ETH0, ROUTE4, SHOW4, SHOW6

KEY = ("192.0.2.10", "eth0", "")
TEXT = ("interface 2 eth0\naddress 192.0.2.10/25\nnic eth0\nnetwork_namespace \nshared \n"
        "boot 1b4e28ba\nnetns 4026531833\nend\n")


def parsed(text, key=KEY):
    """What parse_note() gives, as a tuple of a Note's values; None without one."""
    note = place.parse_note(text, *key)
    return note and tuple(getattr(note, name) for name in place.Note.__slots__)


# --- the text --------------------------------------------------------------------------------


def test_a_plain_note():
    assert parsed(TEXT) == (2, "eth0", 25, "", "", "1b4e28ba", "4026531833")


def test_a_shared_address_and_unknown_surroundings():
    text = TEXT.replace("shared ", "shared nft 01:00:5e:00:02:0a").replace(
        "1b4e28ba", "").replace("4026531833", "")
    assert parsed(text) == (2, "eth0", 25, "nft", "01:00:5e:00:02:0a", "", "")


@pytest.mark.parametrize("name", ["a\\b", "nexthop", "e0@x", "\u00e9", "\udcff", "a:b", "end"])
def test_any_name_of_an_interface(name):
    assert parsed(TEXT.replace("2 eth0", "2 " + name))[1] == name


def test_cut_short_at_any_place():
    for length in range(len(TEXT)):
        assert parsed(TEXT[:length]) is None, length
        assert parsed(TEXT[length:]) is None or length == 0
        assert parsed(TEXT[:length] + "\0" * (len(TEXT) - length)) is None, length


def test_a_line_that_is_missing():
    lines = TEXT.splitlines(keepends=True)
    for index, line in enumerate(lines):
        assert parsed("".join(lines[:index] + lines[index + 1:])) is None, line


def test_lines_in_any_order_and_more_of_them():
    """A later version may know more."""
    lines = TEXT.splitlines(keepends=True)[:-1]
    random.Random(1).shuffle(lines)
    assert parsed("".join(lines) + "more of it\nand\n\nend\n") == parsed(TEXT)


@pytest.mark.parametrize("key", [
    ("192.0.2.1", "eth0", ""), ("192.0.2.10", "", ""), ("192.0.2.10", "eth1", ""),
    ("192.0.2.10", "eth0", "blue"), ("192.0.2.100", "eth0", ""), ("", "eth0", "")])
def test_a_note_of_another_key(key):
    assert parsed(TEXT, key) is None


@pytest.mark.parametrize("line, other", [
    ("interface 2 eth0", "interface 2"), ("interface 2 eth0", "interface eth0 2"),
    ("interface 2 eth0", "interface 0 eth0"), ("interface 2 eth0", "interface -2 eth0"),
    ("interface 2 eth0", "interface 2 eth0 x"), ("interface 2 eth0", "interface  eth0"),
    ("interface 2 eth0", "interface \u0662 eth0"), ("interface 2 eth0", "interface \u00b2 eth0"),
    ("interface 2 eth0", "interface 99999999999 eth0"), ("interface 2 eth0", "interface"),
    ("interface 2 eth0", "interface 2\teth0"),
    ("192.0.2.10/25", "192.0.2.10"), ("192.0.2.10/25", "192.0.2.10/"),
    ("192.0.2.10/25", "192.0.2.10/x"), ("192.0.2.10/25", "192.0.2.10/-1"),
    ("192.0.2.10/25", "192.0.2.10/25/3"), ("192.0.2.10/25", "/25"),
    ("192.0.2.10/25", "192.0.2.10/" + "1" * 5000),
    ("shared ", "shared nft"), ("shared ", "shared nft a b"),
    ("end", "END"), ("end\n", "end"), ("end\n", "end\n\n"), ("end\n", "end\nend \n")])
def test_a_line_that_is_damaged(line, other):
    assert line in TEXT
    assert parsed(TEXT.replace(line, other)) is None


@pytest.mark.parametrize("text", ["", "\n", "end\n", "\0", "garbage", "\udcff\nend\n",
                                  "interface\naddress\nnic\nend\n", "#!/bin/sh\nexit 1\nend\n"])
def test_what_is_no_note(text):
    assert parsed(text) is None


def test_garbage_by_chance():
    """No text makes it raise: characters of a good one are changed, left out, or said twice."""
    dice = random.Random(7)
    letters = string.printable + "\u0662\udcff\0"
    good = 0
    for _ in range(3000):
        text = list(TEXT)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(text))
            text[at] = dice.choice(("", text[at] * 2, dice.choice(letters)))
        note = parsed("".join(text))
        assert note is None or note[0] > 0
        good += note is not None
    assert 0 < good < 1500


# --- the name --------------------------------------------------------------------------------


NASTY = ("", "/", "..", "../../etc/passwd", ".", "a/b", "a,netns=b", ",nic=x", "a b", "a\nb", "%2F",
         "%", "~", "a~b", "\u00e9", "\udcff", "a\\b", "-rf", "*", "$(id)", "nul\0", "A", "a", "_",
         "a_b", "a:b", "a.b", "\u0662", "\u00b2", "a" * 127, "a" * 128, "/" * 127, "/" * 126,
         "\u00e9" * 63, "\u00e9" * 63 + "a", "a" * 40 + "/" * 87, "a" * 40 + "/" * 86 + "b")


@pytest.fixture(name="folder")
def fixture_folder(fp):
    return commands.ENV["HA_RSCTMP"]


def test_names_stay_in_the_folder_and_no_two_are_alike(folder):
    seen = {}
    for key in itertools.product(("192.0.2.10", "2001:db8::10"), NASTY, NASTY):
        path = place.note_path(*key)
        name = path[len(folder) + 1:]
        assert path == folder + "/" + name
        assert name.startswith("IPaddr2-" + key[0])
        assert name.isascii() and name.isprintable() and "/" not in name and " " not in name
        assert len(name) <= 200         # with what replace_file() adds, the kernel's 255 suffice
        assert seen.setdefault(name, key) == key
        # A name that was cut is told by what no other has: 16 digits behind a `~`.
        assert "~" not in name or len(name) == 200 and re.fullmatch("[0-9a-f]{16}", name[184:]) \
            and name[183] == "~"


def test_names_that_differ_at_their_ends_alone(folder):
    """What is cut off still tells them apart."""
    nics = ["\u00e9" * 60 + "x" * 7 + end for end in ("a", "b", "ab", "ba", "")]
    names = [os.path.basename(place.note_path("2001:db8::10", nic, "blue")) for nic in nics]
    assert len(set(names)) == len(nics) and len({name[:183] for name in names}) == 1
    assert all(re.fullmatch("~[0-9a-f]{16}", name[183:]) for name in names)


def test_no_note_is_taken_for_one_that_is_being_written(folder, make_vip, monkeypatch):
    """replace_file() appends `~`; stop and its like look at other names."""
    beside, real = [], posix.rename
    monkeypatch.setattr(posix, "rename",
                        lambda old, new: (beside.append((old, new)), real(old, new)))
    for nic in NASTY:
        made = make_vip()
        made.params["nic"] = nic
        assert place.write_note(made, 2, "", "") or "\0" in nic
    assert beside
    for old, new in beside:
        assert old == new + "~" and len(os.path.basename(old)) < 255
    assert not {old for old, _ in beside} & {new for _, new in beside}


def test_a_name_can_be_read_by_a_person(folder):
    assert place.note_path("192.0.2.10", "", "") == folder + "/IPaddr2-192.0.2.10"
    assert place.note_path("2001:db8::e", "eth0.5", "blue") == \
        folder + "/IPaddr2-2001:db8::e,nic=eth0.5,netns=blue"
    assert place.note_path("192.0.2.10", "a\\b", "") == folder + "/IPaddr2-192.0.2.10,nic=a%5Cb"


def test_what_is_plain_stays_as_it_is(folder):
    assert place.plain("a_b@c+d-e.f:g") == "a_b@c+d-e.f:g"
    assert place.table_name("2001:db8::e") == "ipaddr2-2001_db8__e"


def test_a_name_of_just_the_limit_is_not_cut(folder):
    nic = "x" * (place.LONGEST_NAME - len("IPaddr2-192.0.2.10,nic="))
    assert place.note_path("192.0.2.10", nic, "") == f"{folder}/IPaddr2-192.0.2.10,nic={nic}"
    assert place.note_path("192.0.2.10", nic + "x", "")[-17] == "~"


def test_no_name_is_one_of_the_shell_agents(folder):
    for ip in ("192.0.2.10", "2001:db8::10"):
        for nic in NASTY:
            name = os.path.basename(place.note_path(ip, nic, ""))
            assert name not in (ip, "send_arp-" + ip)


def test_no_note_without_an_address(folder):
    assert place.note_path("", "eth0", "blue") == ""
    assert place.read_note("", "eth0", "") is None


def test_long_altnames_make_names_that_can_be_made(folder, make_vip):
    for nic in ("x" * 127, "\u00e9" * 63, "/" * 127, "\u00e9" * 62 + "ab"):
        made = make_vip()
        made.params["nic"] = nic
        assert place.write_note(made, 2, "", "")
        assert place.read_note("192.0.2.10", nic, "").name == "eth0"
    assert len(os.listdir(folder)) == 4


# --- reading ---------------------------------------------------------------------------------


@pytest.fixture(name="note")
def fixture_note(folder):
    """The path of the note of KEY, which is a good one of this boot."""
    path = place.note_path(*KEY)
    with open(path, "w", encoding="ascii") as file:
        file.write(TEXT.replace("1b4e28ba", place.boot_id()).replace(
            "4026531833", place.namespace_inode()))
    return path


def test_reading(note):
    assert place.read_note(*KEY).index == 2
    assert place.read_note("192.0.2.10", "", "") is None


def test_rights_of_the_file_do_not_matter(note):
    for mode in (0o400, 0o777):
        os.chmod(note, mode)
        assert place.read_note(*KEY).index == 2


def test_a_boot_id_that_is_no_text(tmp_path, monkeypatch):
    monkeypatch.setattr(place, "BOOT_ID", str(tmp_path / "boot_id"))
    (tmp_path / "boot_id").write_bytes(b"a\xff\n")
    assert place.boot_id() == "a\ufffd"


def test_a_note_that_is_half_written_is_removed_too(note, folder):
    with open(note + "~", "w", encoding="ascii"):
        pass
    place.remove_note(*KEY)
    assert not os.listdir(folder)


def test_a_link_is_not_followed(note):
    os.rename(note, note + ".there")
    os.symlink(note + ".there", note)
    assert place.read_note(*KEY) is None


@pytest.mark.parametrize("make", [
    lambda path: None, os.mkfifo, os.mkdir, lambda path: os.symlink(path, path),
    lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink("nowhere", path)])
def test_what_is_no_file(note, make):
    os.unlink(note)
    make(note)
    before = len(os.listdir("/proc/self/fd"))
    assert place.read_note(*KEY) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_fifo_is_not_read(note):
    """Whoever fills it would be believed."""
    with open(note, "rb") as file:
        text = file.read()
    os.unlink(note)
    os.mkfifo(note)
    fd = posix.open(note, posix.O_RDWR)
    try:
        posix.write(fd, text)
        assert place.read_note(*KEY) is None
        assert posix.read(fd, 8192) == text
    finally:
        posix.close(fd)


def test_a_file_that_is_too_long(note):
    with open(note, encoding="ascii") as file:
        text = file.read()
    for size in (place.LIMIT - len(text), place.LIMIT, 100 * place.LIMIT):
        with open(note, "w", encoding="ascii") as file:
            file.write("x" * (size - 1) + "\n" + text)
        assert bool(place.read_note(*KEY)) is (size + len(text) <= place.LIMIT)


def test_bytes_that_are_no_text(note):
    with open(note, "wb") as file:
        file.write(bytes(range(256)) * 20)
    assert place.read_note(*KEY) is None


@pytest.mark.skipif(posix.geteuid() != 0, reason="needs root to give a file away")
def test_a_file_of_another_user(note):
    os.chown(note, 65534, -1)
    assert place.read_note(*KEY) is None
    os.chown(note, 0, 65534)
    assert place.read_note(*KEY)


def test_an_owner_that_is_not_this_user(note, monkeypatch):
    """The same without root."""
    monkeypatch.setattr(posix, "geteuid", lambda: os.stat(note).st_uid + 1)
    assert place.read_note(*KEY) is None
    monkeypatch.setattr(posix, "geteuid", lambda: os.stat(note).st_uid)
    assert place.read_note(*KEY)


def test_a_file_that_cannot_be_read(note, monkeypatch):
    def fails(*_words):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(posix, "read", fails)
    before = len(os.listdir("/proc/self/fd"))
    assert place.read_note(*KEY) is None
    assert len(os.listdir("/proc/self/fd")) == before


# --- this boot, this network namespace -------------------------------------------------------


@pytest.mark.parametrize("noted, now, counts", [
    ("a", "a", True), ("a", "b", False), ("", "b", True), ("a", "", True), ("", "", True)])
def test_the_boot_is_compared_where_both_are_known(note, monkeypatch, tmp_path, noted, now,
                                                   counts):
    monkeypatch.setattr(place, "BOOT_ID", str(tmp_path / "boot_id"))
    if now:
        (tmp_path / "boot_id").write_text(now + "\n")
    with open(note, "w", encoding="ascii") as file:
        file.write(TEXT.replace("1b4e28ba", noted))
    assert bool(place.read_note(*KEY)) is counts


@pytest.mark.parametrize("noted, now, counts", [
    ("7", "7", True), ("7", "8", False), ("", "8", True), ("7", "", True), ("", "", True)])
def test_the_namespace_is_compared_where_both_are_known(fp, make_vip, note, monkeypatch, noted,
                                                        now, counts):
    monkeypatch.setattr(place, "namespace_inode", lambda: now)
    with open(note, "w", encoding="ascii") as file:
        file.write(TEXT.replace("1b4e28ba", "").replace("4026531833", noted))
    assert place.is_of_this_namespace(place.read_note(*KEY)) is counts
    made = make_vip()
    made.params["nic"] = "eth0"
    assert bool(vip.read_own_note(made)) is counts


def test_what_this_host_is():
    assert place.boot_id() and "\n" not in place.boot_id()
    assert place.namespace_inode() == str(os.stat("/proc/self/ns/net").st_ino)


@pytest.mark.parametrize("path", ["/nowhere", "a\0b", "/proc/self/ns/net/x"])
def test_a_namespace_that_cannot_be_told(path):
    assert place.namespace_inode(path) == ""


def test_a_boot_that_cannot_be_told(tmp_path, monkeypatch):
    for path in (str(tmp_path), str(tmp_path / "none")):
        monkeypatch.setattr(place, "BOOT_ID", path)
        assert place.boot_id() == ""


# --- writing ---------------------------------------------------------------------------------


@pytest.fixture(name="vip4")
def fixture_vip4(make_vip):
    made = make_vip()
    made.params["nic"] = "eth0"
    return made


def test_writing(vip4, folder):
    assert place.write_note(vip4, 2, "", "")
    path = place.note_path(*KEY)
    assert os.listdir(folder) == [os.path.basename(path)]
    assert os.stat(path).st_mode & 0o7777 == 0o600
    with open(path, encoding="ascii") as file:
        assert file.read() == TEXT.replace("1b4e28ba", place.boot_id()).replace(
            "4026531833", place.namespace_inode())


def test_what_is_written_is_read(vip4):
    vip4.nic = "a\\b\udcff"
    assert place.write_note(vip4, 77, "nft", "01:00:5e:00:02:0a")
    note = place.read_note(*KEY)
    assert (note.index, note.name, note.prefix) == (77, "a\\b\udcff", 25)
    assert (note.shared, note.mac) == ("nft", "01:00:5e:00:02:0a")
    assert place.is_of_this_namespace(note)


def test_a_link_in_its_place_is_replaced(vip4, folder, tmp_path):
    (tmp_path / "precious").write_text("precious")
    os.symlink(tmp_path / "precious", place.note_path(*KEY))
    assert place.write_note(vip4, 2, "", "")
    assert (tmp_path / "precious").read_text() == "precious"
    assert place.read_note(*KEY).index == 2


@pytest.mark.parametrize("problem", ["folder", "missing", "link"])
def test_a_note_that_cannot_be_written_fails_nothing(vip4, folder, tmp_path, problem):
    path = place.note_path(*KEY)
    if problem == "folder":
        os.mkdir(path)
    elif problem == "missing":
        os.rmdir(folder)
        (tmp_path / "rsctmp").write_text("a file")
    else:
        commands.ENV["HA_RSCTMP"] = "/dev/null/none"
    assert not place.write_note(vip4, 2, "", "")
    log = (tmp_path / "log").read_text()
    assert "WARNING: where 192.0.2.10/25 on eth0 is put cannot be noted in " in log
    assert place.read_note(*KEY) is None
    assert problem != "folder" or os.listdir(folder) == [os.path.basename(path)]


def test_a_read_only_file_system(fp, agent, scene, monkeypatch):
    """Start goes on without; stop does not find one, and looks for the address itself."""
    real = posix.open

    def read_only(path, flags, *more, **words):
        if "/rsctmp/" in str(path) and flags & (posix.O_WRONLY | posix.O_RDWR):
            raise OSError(30, "Read-only file system")
        return real(path, flags, *more, **words)

    monkeypatch.setattr(posix, "open", read_only)
    scene.look()
    scene.add()
    fp.query(scene.send_arp())
    done = agent("start", arp_bg="no", **ON_ETH0)
    assert done.rc == 0
    assert any("cannot be noted" in line and "Read-only" in line for line in done.log)
    assert os.listdir(commands.ENV["HA_RSCTMP"]) == []
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    assert agent("stop", **ON_ETH0).rc == 0


def test_removing(folder):
    path = place.note_path(*KEY)
    place.remove_note(*KEY)
    for make in (lambda: open(path, "w", encoding="ascii").close(), lambda: os.mkfifo(path),
                 lambda: os.symlink("/etc/passwd", path)):
        make()
        place.remove_note(*KEY)
        assert not os.path.lexists(path)
    os.mkdir(path)
    place.remove_note(*KEY)
    assert os.path.isdir(path)
    place.remove_note("", "", "")


# --- what the actions make of it -------------------------------------------------------------


def write(scene, nic="eth0", index=2, name="eth0", prefix=25, ip="192.0.2.10"):
    scene.note(ip, nic).write_text(
        "interface %d %s\naddress %s/%d\nnic %s\nnetwork_namespace \nshared \nboot %s\nnetns %s\n"
        "end\n" % (index, name, ip, prefix, nic, place.boot_id(), place.namespace_inode()))


@pytest.mark.parametrize("given", [{}, {"nic": "eth0"}, {"cidr_netmask": "25"}, ON_ETH0])
def test_no_route_is_asked_for_with_a_note(fp, agent, scene, given):
    given = dict({"ip": "192.0.2.10"}, **given)
    write(scene, given.get("nic", ""))
    for action in ("monitor", "status", "probe", "start"):
        fp.query(SHOW4, scene.here)
        done = agent(action, **given)
        assert (done.rc, done.reasons) == (0, []), action


def test_an_ipv6_address_with_a_note(fp, agent, scene):
    write(scene, "", prefix=64, ip="2001:db8::e")
    for action in ("monitor", "start"):
        fp.query(SHOW6, scene.here6)
        assert agent(action, ip="2001:DB8::E").rc == 0


@pytest.mark.parametrize("told", [dict(index=3), dict(prefix=24), dict(index=99, name="gone")])
def test_a_note_that_lies_does_no_harm(fp, agent, scene, captured, told):
    """The address is where the route says."""
    write(scene, "", **told)
    for action in ("monitor", "probe", "start"):
        fp.query(SHOW4, scene.here)
        fp.query(ROUTE4, captured("route-inet-192.0.2.1"))
        assert agent(action, ip="192.0.2.10").rc == 0, action
        write(scene, "", **told)
    fp.query(SHOW4, scene.here)
    if told.get("index", 2) != 2:
        fp.query(ROUTE4, captured("route-inet-192.0.2.1"))
    else:
        fp.query(ROUTE4)
    fp.run(DELETE4)
    fp.query(SHOW4)
    assert agent("stop", ip="192.0.2.10").rc == 0
    assert not scene.note(nic="").exists()


def test_a_start_mends_a_note_that_lies(fp, agent, scene, captured):
    write(scene, "", index=3, name="eth1")
    fp.query(SHOW4, scene.here)
    fp.query(ROUTE4, captured("route-inet-192.0.2.1"))
    assert agent("start", ip="192.0.2.10").rc == 0
    assert place.read_note("192.0.2.10", "", "").index == 2


def test_a_start_that_finds_the_address_notes_it(fp, agent, scene):
    fp.query(SHOW4, scene.here)
    assert agent("start", **ON_ETH0).rc == 0
    assert place.read_note(*KEY).prefix == 25


def test_start_notes_before_it_adds(fp, agent, scene, fakes, monkeypatch):
    noted = []
    real = changes.run

    def run(argv):
        noted.append((" ".join(argv[:5]), scene.note().exists()))
        return real(argv)

    monkeypatch.setattr(changes, "run", run)
    scene.look()
    scene.add()
    scene.announce()
    assert agent("start", **ON_ETH0).rc == 0
    assert noted[0] == ("ip -f inet addr add", True)


@pytest.mark.parametrize("action, rc, reasons", [
    ("monitor", 7, 0), ("status", 7, 0), ("probe", 1, 1)])
def test_an_interface_that_nic_does_not_name_any_more(fp, agent, scene, action, rc, reasons):
    write(scene, "eth0", index=7, name="eth0")
    fp.query(SHOW4, scene.here.replace("2: eth0", "7: old0"))
    done = agent(action, **ON_ETH0)
    assert (done.rc, len(done.reasons)) == (rc, reasons)
    assert any("is on old0, where start put it" in line for line in done.log)


def test_a_start_leaves_the_old_place(fp, agent, scene, captured):
    write(scene, "eth0", index=7, name="eth0")
    old = scene.here.replace("2: eth0", "7: old0").replace("eth0", "old0")
    fp.query(SHOW4, old)
    fp.run("ip -f inet addr delete 192.0.2.10/25 dev old0")
    scene.look()
    scene.add()
    scene.announce()
    assert agent("start", **ON_ETH0).rc == 0
    note = place.read_note(*KEY)
    assert (note.index, note.name) == (2, "eth0")


def test_a_start_at_the_noted_place_leaves_other_forms_alone(fp, agent, scene):
    """An admin's, perhaps: a stop removes them."""
    write(scene)
    scene.look(scene.here.replace("/25 brd 192.0.2.127", "/32"))
    scene.add()
    scene.announce()
    assert agent("start", **ON_ETH0).rc == 0


def test_an_address_with_a_peer_is_not_what_was_noted(fp, agent, scene, captured):
    write(scene, "")
    peer = scene.here.replace("192.0.2.10/25 brd 192.0.2.127", "192.0.2.10 peer 192.0.2.9/25")
    fp.query(SHOW4, peer)
    fp.query(ROUTE4, captured("route-inet-192.0.2.1"))
    assert agent("monitor", ip="192.0.2.10").rc == 7


def test_a_start_that_cannot_leave_the_old_place(fp, agent, scene):
    write(scene, "eth0", index=7, name="eth0")
    old = scene.here.replace("2: eth0", "7: old0").replace("eth0", "old0")
    scene.look(old, brd=False, link=False)
    fp.run("ip -f inet addr delete 192.0.2.10/25 dev old0", rc=2)
    fp.query(SHOW4, old)
    done = agent("start", **ON_ETH0)
    assert done.rc == 1 and "old0" in done.reasons[0]
    assert place.read_note(*KEY).index == 7


def test_stop_by_the_noted_place(fp, agent, scene, captured):
    """In every form, whatever nic and cidr_netmask are now; another interface keeps its own."""
    write(scene, "eth0", index=7, name="eth0")
    old = scene.here.replace("2: eth0", "7: old0").replace("eth0", "old0")
    peer = old.replace("192.0.2.10/25 brd 192.0.2.127", "192.0.2.10 peer 192.0.2.254/32")
    fp.query(SHOW4, old + peer + scene.here)
    fp.run("ip -f inet addr delete 192.0.2.10/25 dev old0")
    fp.run("ip -f inet addr delete 192.0.2.10 peer 192.0.2.254/32 dev old0")
    fp.query(SHOW4, scene.here)
    assert agent("stop", **dict(ON_ETH0, cidr_netmask="24")).rc == 0
    assert not scene.note().exists()


def test_a_note_stays_where_the_address_does(fp, agent, scene):
    write(scene)
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4, rc=2)
    fp.query(SHOW4, scene.here)
    assert agent("stop", **ON_ETH0).rc == 1
    assert scene.note().exists()


@pytest.mark.parametrize("given, rc", [({}, 7), ({"nic": "eth0"}, 7), ({"cidr_netmask": "25"}, 7),
                                       (ON_ETH0, 0)])
@pytest.mark.parametrize("action", ["monitor", "status", "probe"])
def test_an_interface_that_is_down(fp, agent, scene, flags, given, rc, action):
    given = dict({"ip": "192.0.2.10"}, **given)
    write(scene, given.get("nic", ""))
    flags["eth0"] = 0x1002
    fp.query(SHOW4, scene.here)
    assert agent(action, **given).rc == rc


def test_a_start_sets_it_up(fp, agent, scene, flags, captured):
    write(scene, "")
    flags["eth0"] = 0x1002
    fp.query(SHOW4, scene.here)
    fp.query("ip link show dev eth0", captured("link-eth0-long"))
    fp.run("ip link set dev eth0 up")
    fp.query(scene.send_arp())
    assert agent("start", ip="192.0.2.10", arp_bg="no").rc == 0


@pytest.mark.parametrize("action, rc", [("monitor", 7), ("status", 7), ("probe", 7)])
def test_a_noted_address_that_is_nowhere(fp, agent, scene, action, rc):
    """No route tells, either: with a note that is not unknown, but not running."""
    write(scene, "")
    fp.query(SHOW4)
    fp.query(ROUTE4)
    done = agent(action, ip="192.0.2.10")
    assert (done.rc, done.reasons) == (rc, [])


@pytest.mark.parametrize("action, err", [("monitor", "No memory"), ("start", "")])
def test_where_that_is_not_enough(fp, agent, scene, action, err):
    """Routes that cannot be listed, and a start, which needs to know."""
    write(scene, "")
    fp.query(SHOW4)
    fp.query(ROUTE4, err=err, rc=2 if err else 0)
    done = agent(action, ip="192.0.2.10")
    assert done.rc == 1 and "[findif] failed" in done.reasons[0]


def test_a_noted_address_that_is_elsewhere(fp, agent, scene):
    """No route tells whether that is its place: not known, as without a note."""
    write(scene, "")
    fp.query(SHOW4, scene.here.replace("2: eth0", "3: eth1").replace("eth0", "eth1"))
    fp.query(ROUTE4)
    assert agent("monitor", ip="192.0.2.10").rc == 1


def test_a_noted_address_whose_nic_is_gone(fp, agent, scene):
    """The address is nowhere; that nic names nothing is a fault of its own."""
    write(scene, "eth9", index=9, name="eth9")
    fp.query(SHOW4)
    fp.query(ROUTE4)
    assert agent("monitor", ip="192.0.2.10", nic="eth9").rc == 1


@pytest.mark.parametrize("action", ["monitor", "status", "probe", "start"])
def test_nic_may_be_an_altname_of_the_noted_interface(fp, agent, scene, action):
    write(scene, "uplink", index=3, name="eth1")
    fp.query(SHOW4, scene.here.replace("2: eth0", "3: eth1").replace("eth0", "eth1"))
    assert agent(action, ip="192.0.2.10", nic="uplink").rc == 0


def test_stop_at_the_noted_place_and_where_the_routes_are(fp, agent, scene):
    write(scene, "")
    there = scene.here.replace("2: eth0", "3: eth1").replace("eth0", "eth1")
    other = scene.here.replace("2: eth0", "6: eth2").replace("eth0", "eth2")
    fp.query(SHOW4, scene.here + there + other)
    fp.query(ROUTE4, "192.0.2.0/25 dev eth1 proto kernel\n")
    fp.run(DELETE4)
    fp.run("ip -f inet addr delete 192.0.2.10/25 dev eth1")
    fp.query(SHOW4, other)
    assert agent("stop", ip="192.0.2.10").rc == 0


def test_stop_of_a_noted_address_without_routes(fp, agent, scene):
    """The noted place is enough: others may have the address for reasons of their own."""
    write(scene, "")
    fp.query(SHOW4, scene.here + scene.here.replace("2: eth0", "3: eth1").replace("eth0", "eth1"))
    fp.query(ROUTE4, rc=2, err="Error: Buffer too small for object.")
    fp.run(DELETE4)
    fp.query(SHOW4, scene.here.replace("2: eth0", "3: eth1").replace("eth0", "eth1"))
    assert agent("stop", ip="192.0.2.10").rc == 0


def test_the_broadcast_is_looked_up_as_without_a_note(fp, agent, scene, captured):
    """A note whose address is gone: start goes by the routes, and notes anew."""
    write(scene, "", index=3, name="eth1", prefix=24)
    fp.query(SHOW4)
    fp.query(ROUTE4, captured("route-inet-192.0.2.1"))
    fp.query(BRD4, captured("addr-inet-eth0"))
    fp.query("ip link show dev eth0", captured("link-eth0-long"))
    scene.add()
    fp.query(scene.send_arp())
    assert agent("start", ip="192.0.2.10", arp_bg="no").rc == 0
    note = place.read_note("192.0.2.10", "", "")
    assert (note.index, note.prefix) == (2, 25)


# --- when it is written and removed ----------------------------------------------------------


@pytest.mark.parametrize("wrong", ["address", "nothing"])
def test_stop_removes_the_note_last(fp, agent, scene, monkeypatch, wrong):
    """A stop that is killed before is repeated, and looks where this one did."""
    write(scene)
    noted, real = [], changes.run

    def run(argv):
        noted.append(scene.note().exists())
        return real(argv)

    monkeypatch.setattr(changes, "run", run)
    left = scene.here if wrong == "address" else ""
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4, left)
    assert agent("stop", **ON_ETH0).rc == bool(left)
    assert noted == [True]
    assert scene.note().exists() is bool(left)


def test_stop_that_finds_nothing_removes_the_note(fp, agent, scene):
    write(scene)
    fp.query(SHOW4)
    assert agent("stop", **ON_ETH0).rc == 0
    assert not scene.note().exists()


def test_stop_that_cannot_tell_keeps_the_note(fp, agent, scene):
    write(scene)
    fp.query(SHOW4, rc=1, err="Dump terminated\n")
    assert agent("stop", **ON_ETH0).rc == 1
    assert scene.note().exists()


@pytest.mark.parametrize("given, number", [(ON_ETH0, 2), (dict(ON_ETH0, nic="uplink"), 3)])
def test_start_learns_the_number_of_the_interface(fp, agent, scene, monkeypatch, given, number):
    """By which those who announce look, whatever it is called by then."""
    seen = []
    monkeypatch.setattr(start, "announce", lambda _vip, _brd, burst: seen.append(burst))
    nic = "eth0" if number == 2 else "eth1"
    fp.query(SHOW4)
    fp.query("ip -o -f inet addr show dev " + nic)
    fp.run("ip -f inet addr add 192.0.2.10/25 dev " + nic)
    fp.query(SHOW4, scene.here.replace("2: eth0", "%d: %s" % (number, nic)).replace("eth0", nic))
    fp.run("ip link set dev %s up" % nic)
    assert agent("start", **dict(given, arp_sender="builtin")).rc == 0
    assert [(burst.index, burst.vip.nic) for burst in seen] == [(number, nic)]


# --- an interface that is down under an address that is there --------------------------------


def test_one_that_cannot_be_set_up(fp, agent, scene, flags, captured):
    write(scene, "")
    flags["eth0"] = 0x1002
    fp.query(SHOW4, scene.here)
    fp.query("ip link show dev eth0", captured("link-eth0-long"))
    fp.run("ip link set dev eth0 up", "RTNETLINK answers: Operation not permitted\n", rc=2)
    done = agent("start", ip="192.0.2.10")
    assert done.rc == 1
    assert done.reasons == ["Failed to set eth0 up: RTNETLINK answers: Operation not permitted"]
    assert scene.note(nic="").exists(), "the address is there still"


@pytest.mark.parametrize("left, noted", [(False, False), (True, True)])
def test_an_address_that_turns_out_another_hosts(fp, agent, scene, flags, captured, clock, left,
                                                 noted):
    """It is deleted, and its note with it, unless it is there all the same."""
    write(scene, "", prefix=64, ip="2001:db8::e")
    flags["eth0"] = 0x1002
    fp.query(SHOW6, scene.here6)
    fp.run("ip link set dev eth0 up")
    fp.query(DAD6, captured("addr-inet6-dadfailed").replace("::dad", "::e"))
    fp.run("ip -f inet6 addr del dev eth0 2001:db8::e/64", rc=2 if left else 0)
    fp.query(SHOW6, scene.here6 if left else "")
    done = agent("start", env={"OCF_RESKEY_CRM_meta_timeout": "1000"}, ip="2001:db8::e")
    assert done.rc == 1 and "another host has 2001:db8::e" in done.reasons[0]
    assert scene.note("2001:db8::e", "").exists() is noted
