from __future__ import annotations

from pathlib import Path

import pytest
from videos import A, B, C, D, write_list

from benchmark.data.prepare.clip_lists import EXPECTED, key_of, read_list, read_vggsounder
from benchmark.data.prepare.media_files import find_files
from benchmark.utils.errors import UserError


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (f"{A}_000034", f"{A}_000034"),
        (f"{B}_000000", f"{B}_000000"),
        (f"{C}_000007", f"{C}_000007"),
        (f"{A}_34000_44000", f"{A}_000034"),
        (f"{B}_0_10000", f"{B}_000000"),
        (f"{D}_1234000_1244000", f"{D}_001234"),
        (f"{A}_34500_44500", None),
        (f"{A}_34", None),
        (A, None),
        (f"x{A}_000034", None),
        (f"{A}_000034_", None),
        ("", None),
    ],
)
def test_both_styles_of_name_mean_the_clip(name: str, key: str | None) -> None:
    assert key_of(name) == key


def test_an_id_that_ends_like_a_start_is_not_cut() -> None:
    # Cut at the last underscore but one, "ccc_0000034_000007" would be the clip of "ccc" from 34 ms to 7 ms.
    assert len(C) == 11 and key_of(f"{C}_000007") == f"{C}_000007"


ROWS = [(A, 34, "dog barking", "test"), (A, 44, "heart sounds, heartbeat", "test"), (B, 0, "dog barking", "train")]


def test_every_form_of_the_list_says_the_same(tmp_path: Path) -> None:
    plain = read_list(write_list(tmp_path / "plain.csv", ROWS))
    assert [(row.key, row.label, row.split) for row in plain.rows] == [
        (f"{B}_000000", "dog barking", "train"),
        (f"{A}_000034", "dog barking", "test"),
        (f"{A}_000044", "heart sounds, heartbeat", "test"),
    ]
    assert plain.labels == ("dog barking", "heart sounds, heartbeat")
    headed = tmp_path / "headed.csv"
    lines = [f'{split},"{label}",{start}.0,{video}' for video, start, label, split in reversed(ROWS)]
    headed.write_text("\n".join(["set,class,start_seconds,ytid", *lines]), encoding="utf-8-sig")
    named = tmp_path / "named.csv"
    lines = [f'{video}_{start:06d}.mp4,"{label}",{split}' for video, start, label, split in ROWS]
    named.write_text("\n".join(["video_id,label,split", *lines]))
    assert read_list(headed).identity == read_list(named).identity == plain.identity
    assert len({read_list(path).sha256 for path in (headed, named, plain.path)}) == 3


def test_the_authors_test_list_has_neither_header_nor_split(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text(f'{A}_000034.mp4,dog barking\n{B}_000000.mp4,"heart sounds, heartbeat"\n')
    assert [(row.key, row.split) for row in read_list(path).rows] == [(f"{B}_000000", "test"), (f"{A}_000034", "test")]


def test_another_list_than_the_published_one_is_told(tmp_path: Path) -> None:
    listed = read_list(write_list(tmp_path / "mine.csv", ROWS))
    assert listed.counts() == {"test clips": 2, "test video ids": 1, "classes": 2}
    assert [line.partition(":")[0] for line in listed.differences()] == [
        "mine.csv has 2 test clips, the published list 15,446",
        "mine.csv has 1 test video ids, the published list 14,851",
        "mine.csv has 2 classes, the published list 309",
    ]
    assert EXPECTED == {"test clips": 15446, "test video ids": 14851, "classes": 309}


def test_a_list_without_starts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vggsound.csv"
    path.write_text(f"ytid,class,set\n{A},dog barking,test\n{B},cat meowing,train\n")
    with pytest.raises(UserError, match="gives only video ids.*may have different labels.*give a list with"):
        read_list(path)


def test_all_problems_of_a_list_at_once(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text(
        f"{A},34,dog,test\n{A},34,cat,test\n{A},34,dog,test\nshort,1,dog,test\n{B},soon,dog,test\n"
        f"{B},1,dog,tset\n{B},2,,test\n{B},3\n"
    )
    with pytest.raises(UserError) as caught:
        read_list(path)
    lines = caught.value.problems
    assert [line.split(":")[1] for line in lines] == ["2", "4", "5", "6", "7", "8"]
    for line, part in zip(
        lines, ["'cat' (test) here and 'dog'", "'short'", "'soon'", "'tset'", "no label", "2 values"], strict=True
    ):
        assert part in line


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"a,b,c\n", "3 columns"),
        (b"video_id,start,label,split\n", "no rows"),
        (b"label,split\ndog,test\n", "no column for the clip"),
    ],
)
def test_files_that_are_no_list(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "l.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=why) as caught:
        read_list(path)
    assert len(caught.value.problems) == 1


def test_of_many_problems_the_number_is_told(tmp_path: Path) -> None:
    path = write_list(tmp_path / "l.csv", [("bad", k, "dog", "test") for k in range(50)])
    with pytest.raises(UserError) as caught:
        read_list(path)
    assert len(caught.value.problems) == 21 and caught.value.problems[-1] == "and 30 more problems like these"


def test_vggsounder_marks(tmp_path: Path) -> None:
    path = tmp_path / "vggsounder.csv"
    path.write_text(
        "video_id,label,modality,background_music,static_image,voice_over\n"
        f"{A}_000034,dog barking,A,False,False,True\n{A}_000034,rain,AV,False,False,False\n"
        f"{A}_000034,sea,V,False,False,False\n{B}_000000,unheard of,AV,True,False,False\n"
    )
    found, remarks = read_vggsounder(path, ["dog barking", "rain", "sea"])
    (key, note), *others = found.items()
    assert key == f"{A}_000034" and not others
    assert note.labels == ["dog barking", "rain", "sea"]
    assert note.visible == ["rain", "sea"] and note.audible == ["dog barking", "rain"]
    assert note.flags == {"background_music": False, "static_image": False, "voice_over": True}
    assert remarks == ["vggsounder.csv: label 'unheard of' (1 rows) is not in the clip list and was left out"]
    path.write_text(f"video_id,label,modality\n{A},rain,AV\n{A}_000034,rain,X\n")
    with pytest.raises(UserError) as caught:
        read_vggsounder(path, ["rain"])
    assert [line.split(":")[1] for line in caught.value.problems] == ["2", "3"]
    path.write_text("video_id,label\n")
    with pytest.raises(UserError, match="column 'modality' is missing"):
        read_vggsounder(path, ["rain"])


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_files_are_found_at_any_depth_under_either_name(tmp_path: Path) -> None:
    touch(tmp_path / "video" / f"{A}_000034.mp4", tmp_path / "z" / f"{A}_34000_44000.MP4")
    touch(tmp_path / "video" / f"{B}_0_10000.webm", tmp_path / "audio" / f"{B}_000000.flac")
    touch(tmp_path / f"{C}.mp4", tmp_path / "holiday.mp4", tmp_path / "vggsound_00.tar.gz", tmp_path / "x.mp4.part")
    touch(tmp_path / "notes.txt", tmp_path / ".hidden" / f"{D}_000001.mp4", tmp_path / "out" / f"{D}_000002.mp4")
    (tmp_path / "video" / "up").symlink_to(tmp_path)
    found = find_files(tmp_path, skip=tmp_path / "out")
    assert found.videos == {f"{A}_000034": f"video/{A}_000034.mp4", f"{B}_000000": f"video/{B}_0_10000.webm"}
    assert found.sounds == {f"{B}_000000": f"audio/{B}_000000.flac"}
    assert found.doubles == [f"z/{A}_34000_44000.MP4"]
    assert found.id_only == [f"{C}.mp4"] and found.strange == ["holiday.mp4"]
    assert found.archives == ["vggsound_00.tar.gz"] and found.unfinished == ["x.mp4.part"]


def test_a_wrong_root_says_what_is_there_instead(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        find_files(tmp_path / "nowhere")
    touch(tmp_path / "r" / "vggsound_00.tar.gz", tmp_path / "r" / f"{A}.mp4", tmp_path / "r" / "b.mp4.part")
    with pytest.raises(UserError, match="is a file"):
        find_files(tmp_path / "r" / f"{A}.mp4")
    with pytest.raises(UserError) as caught:
        find_files(tmp_path / "r")
    lines = caught.value.problems
    assert "no video named" in lines[0] and "archives are not read: unpack" in lines[1]
    assert "not finished" in lines[2] and "the video's id alone" in lines[3]
