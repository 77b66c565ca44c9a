# SPDX-License-Identifier: GPL-2.0-only
"""Writes an initramfs: a cpio archive of the "newc" format, see cpio(5)."""

import os
import stat


class Archive:
    """An archive under construction; every file belongs to root, folders are made as needed."""

    def __init__(self, path):
        self.path = path
        self._file = open(path, "wb")
        self._there = {"/"}
        self._links = {}
        self._number = 0

    def _entry(self, name, mode, data, mtime=0):
        self._number += 1
        encoded = name.lstrip("/").encode() + b"\0"
        fields = [self._number, mode, 0, 0, 1, mtime, len(data), 0, 0, 0, 0, len(encoded), 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        for part in (head, data):
            self._file.write(part + b"\0" * (-len(part) % 4))

    def _place(self, name):
        """The name with the links in its folders followed, its folders made."""
        folder, _, last = name.rpartition("/")
        if not folder:
            return name
        folder = self._place(folder)
        target = self._links.get(folder)
        if target is not None:
            folder = os.path.normpath(os.path.join(os.path.dirname(folder), target))
        self.folder(folder)
        return folder + "/" + last

    def folder(self, name):
        """A folder, and those above it."""
        if name and name not in self._there and name not in self._links:
            self._there.add(name)
            self.folder(name.rpartition("/")[0])
            self._entry(name, stat.S_IFDIR | 0o755, b"")

    def link(self, name, target):
        """A symbolic link."""
        name = self._place(name)
        if name not in self._there and name not in self._links:
            self._links[name] = target
            self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def write(self, name, data, mode, mtime=0):
        """A regular file."""
        name = self._place(name)
        if name not in self._there:
            self._there.add(name)
            self._entry(name, stat.S_IFREG | mode, data, mtime)

    def add(self, name, path):
        """A copy of this machine's file or link `path`."""
        if os.path.islink(path):
            self.link(name, os.readlink(path))
        else:
            state = os.stat(path)
            with open(path, "rb") as source:
                self.write(name, source.read(), state.st_mode & 0o777, int(state.st_mtime))

    def add_with_links(self, path):
        """A file under its own path, and whatever its link leads to."""
        for _ in range(10):
            self.add(path, path)
            if not os.path.islink(path):
                return
            path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
            if not os.path.exists(path):
                return

    def close(self):
        self._entry("TRAILER!!!", 0, b"")
        # The kernel wants the next archive to begin on a multiple of four.
        self._file.write(b"\0" * (-self._file.tell() % 512))
        self._file.close()
