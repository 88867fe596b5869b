import errno
import hashlib
import os
import time
from pathlib import Path

import platformdirs
import pytest

from emokit import EmokitError
from emokit.files import cache_dir, replacing, sha256, sweep


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "x.txt"
    for text in ("first", "second"):
        with replacing(path) as partial:
            partial.write_text(text)
        assert path.read_text() == text
        assert names(path.parent) == ["x.txt"]


def test_a_folder_takes_the_place_of_the_whole_old_one(tmp_path):
    path = tmp_path / "model"
    for name in ("old", "new"):
        with replacing(path) as partial:
            partial.mkdir()
            (partial / name).write_text(name)
        assert names(path) == [name]
    assert names(tmp_path) == ["model"]


def test_until_the_end_the_old_file_stays_and_the_new_one_lies_beside_it_under_another_name(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent  # the same disk, so that the rename is one step
        assert partial.suffix != path.suffix  # *.txt must not find it
    assert path.read_text() == "new"


def test_two_writers_of_one_path_do_not_share_a_temporary(tmp_path):
    path = tmp_path / "x.txt"
    with replacing(path) as one, replacing(path) as two:
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"  # the last to end
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_error_inside_passes_and_leaves_the_old_content_and_no_partial(tmp_path, kind, error):
    path = tmp_path / "x"

    def write(at, text):
        if kind == "folder":
            at.mkdir()
            (at / "inside").write_text(text)
        else:
            at.write_text(text)

    write(path, "old")
    with pytest.raises(error), replacing(path) as partial:
        write(partial, "half")
        raise error
    assert ((path / "inside") if kind == "folder" else path).read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_an_error_inside_leaves_no_first_file_either(tmp_path):
    with pytest.raises(ValueError, match="stop"), replacing(tmp_path / "x") as partial:
        partial.write_text("half")
        raise ValueError("stop")
    assert names(tmp_path) == []


def test_a_full_disk_is_told_with_the_path_and_what_to_do(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:2])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EmokitError, match="No space left") as caught, replacing(path) as partial:
        partial.write_bytes(b"new and longer")
    assert caught.value.value == str(path)
    assert "space" in caught.value.do
    assert isinstance(caught.value.__cause__, OSError)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x.bin"]


def test_an_operating_system_error_without_a_text_is_still_told(tmp_path):
    with pytest.raises(EmokitError, match="odd disk"), replacing(tmp_path / "x"):
        raise OSError("odd disk")


def test_a_path_below_a_file_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "file").write_text("a file")
    entered = False
    with pytest.raises(EmokitError, match="cannot write"), replacing(tmp_path / "file" / "x.txt"):
        entered = True
    assert not entered
    assert names(tmp_path) == ["file"]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "precious").write_text("keep")
    with pytest.raises(EmokitError, match="cannot write"), replacing(tmp_path / "x") as partial:
        partial.write_text("new")
    assert names(tmp_path / "x") == ["precious"]
    assert names(tmp_path) == ["x"]


def test_a_folder_never_takes_the_place_of_a_file(tmp_path):
    (tmp_path / "x").write_text("keep")
    with pytest.raises(EmokitError, match="cannot write"), replacing(tmp_path / "x") as partial:
        partial.mkdir()
    assert (tmp_path / "x").read_text() == "keep"
    assert names(tmp_path) == ["x"]


def test_a_block_that_wrote_nothing_keeps_the_old_file_and_says_so(tmp_path):
    (tmp_path / "x").write_text("old")
    with pytest.raises(EmokitError, match="cannot write"), replacing(tmp_path / "x"):
        pass
    assert (tmp_path / "x").read_text() == "old"


def test_a_name_too_long_for_the_disk_is_an_emokit_error(tmp_path):
    with pytest.raises(EmokitError, match="cannot write"), replacing(tmp_path / ("x" * 300)) as partial:
        partial.write_text("new")
    assert names(tmp_path) == []


def test_the_cache_folder_is_the_one_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("EMOKIT_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
    assert not (tmp_path / "mine").exists()  # asking makes nothing
    monkeypatch.setenv("EMOKIT_CACHE", "~/mine")
    assert cache_dir() == Path.home() / "mine"


@pytest.mark.parametrize("value", [None, ""])
def test_the_cache_folder_is_the_users_where_none_was_chosen(monkeypatch, value):
    monkeypatch.delenv("EMOKIT_CACHE")
    if value is not None:
        monkeypatch.setenv("EMOKIT_CACHE", value)
    assert cache_dir() == platformdirs.user_cache_path("emokit")
    assert cache_dir().is_absolute()


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "x") == hashlib.sha256(b"abc" * 100_000).hexdigest()


# partial files of killed processes


def aged(path, hours):
    for inside in (*path.rglob("*"), path):
        os.utime(inside, (time.time() - 3600 * hours,) * 2)


def test_what_a_killed_process_left_is_removed_a_day_later_at_the_next_write(tmp_path):
    killed, living, folder, other = (
        tmp_path / name
        for name in (".x.0123abcd.partial", ".y.0123abcd.partial", ".z.0123abcd.partial", "mine.0123abcd.partial")
    )
    folder.mkdir()
    for path in (killed, living, folder / "inside", other):
        path.write_text("half")
    for path, hours in ((killed, 25), (folder, 25), (living, 23), (other, 1000)):
        aged(path, hours)
    with replacing(tmp_path / "x") as partial:
        partial.write_text("new")
    assert names(tmp_path) == [living.name, other.name, "x"]


def test_a_folder_that_is_still_written_into_is_not_removed(tmp_path):
    folder = tmp_path / ".x.0123abcd.partial"
    folder.mkdir()
    (folder / "inside").write_text("half")
    os.utime(folder, (0, 0))
    sweep(tmp_path)
    assert names(folder) == ["inside"]


# folders in the place of folders


def write_folder(path, name):
    path.mkdir()
    (path / name).write_text(name)


def test_a_folder_that_is_to_be_kept_is_and_the_slower_writer_does_not_fail(tmp_path):
    path = tmp_path / "model"
    with replacing(path, keep=Path.is_dir) as slow:
        write_folder(slow, "slow")
        with replacing(path, keep=Path.is_dir) as fast:
            write_folder(fast, "fast")
    assert names(path) == ["fast"]
    assert names(tmp_path) == ["model"]


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    path, replace = tmp_path / "model", os.replace
    write_folder(path, "old")

    def refuse(source, target):
        if Path(source).name != "old" and "new" in names(Path(source)):
            raise OSError(errno.EIO, "odd disk")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(EmokitError, match="odd disk"), replacing(path) as partial:
        write_folder(partial, "new")
    assert names(path) == ["old"]
    assert names(tmp_path) == ["model"]


def test_a_kill_between_the_two_renames_leaves_the_old_folder_aside_for_a_day(tmp_path, monkeypatch):
    path, replace = tmp_path / "model", os.replace
    write_folder(path, "old")
    aged(path, 1000)
    aside = []

    def look(source, target):
        aside.extend(
            sorted(p.name for q in tmp_path.glob(".*.partial") for p in q.iterdir()) if not path.exists() else []
        )
        sweep.cache_clear()
        sweep(tmp_path)
        aside.extend(
            sorted(p.name for q in tmp_path.glob(".*.partial") for p in q.iterdir()) if not path.exists() else []
        )
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    with replacing(path) as partial:
        write_folder(partial, "new")
    assert aside == ["new", "old"] * 2
    assert names(path) == ["new"]
    assert names(tmp_path) == ["model"]
