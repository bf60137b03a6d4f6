from __future__ import annotations

import json

import pytest
from studies import answers, right, sealed, study, write

from benchmark.human.ratings import collect
from benchmark.human.study import Study
from benchmark.utils.errors import UserError

STUDY = study()


def saved(folder, sheet, name=None, value=right, **changes):
    return write(folder, name or f"sheet{sheet}", sealed(answers(STUDY, sheet, value, **changes)))


def refused(path, match, *others):
    with pytest.raises(UserError, match=match) as error:
        collect(STUDY, [path, *others])
    assert str(path) in error.value.problems[0] and "--skip-bad" in error.value.problems[-1]


def test_good_files_count(tmp_path):
    for sheet in (1, 2):
        saved(tmp_path, sheet)
    found = collect(STUDY, [tmp_path])
    assert found.raters == ["sheet 1", "sheet 2"] and found.remarks == [] and found.excluded == {}
    assert len(found.judgements) == 12 and {one.value for one in found.judgements} == {4}


@pytest.mark.parametrize("edit", ["answer", "remark", "fewer"])
def test_a_file_that_was_edited_is_refused(tmp_path, edit):
    data = sealed(answers(STUDY, 1, right))
    if edit == "answer":
        data["answers"][2]["answer"] = 5
    elif edit == "remark":
        data["remark"] = "x"
    else:
        del data["answers"][3]
    refused(write(tmp_path, "one", data), "was changed after it was saved")


def test_a_file_that_was_only_laid_out_anew_still_counts(tmp_path):
    path = saved(tmp_path, 1)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=8, sort_keys=True))
    assert collect(STUDY, [path]).raters == ["sheet 1"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"study": "e" * 64}, "another study .'eeeeeeee'"),
        ({"sheet": 9}, "sheet 9, and the study has sheets 1 to 4"),
        (
            {"answers": [{"trial": 0, "item": "x99999", "answer": 4, "ms": 1}]},
            "'x99999' does not stand there on sheet 1",
        ),
        ({"answers": [{"trial": 77, "item": "x00000", "answer": 4, "ms": 1}]}, "answer 78"),
        ({"answers": [{"trial": 0, "item": "x00000", "answer": 6, "ms": 1}]}, "6 is no answer, they go from 1 to 5"),
        ({"answers": [{"trial": 0, "item": "x00000", "answer": 4, "ms": 1}] * 2}, "is given twice"),
    ],
)
def test_what_does_not_belong_to_the_study_is_refused(tmp_path, changes, match):
    refused(write(tmp_path, "one", sealed({**answers(STUDY, 1, right), **changes})), match)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "{}", '{"format": "bench human answers 1"}', "[" * 5000, '{"answers": NaN}', "\udcff"]
)
def test_what_is_no_file_of_answers_is_refused(tmp_path, text):
    path = tmp_path / "one.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    refused(path, "is no (file of answers|export)")


def test_true_is_no_answer(tmp_path):
    data = sealed(answers(STUDY, 1, right))
    data["answers"][0]["answer"] = True
    refused(write(tmp_path, "one", data), "is no file of answers")


def test_a_sheet_that_was_filled_in_twice_is_refused(tmp_path):
    one, two = saved(tmp_path, 1), saved(tmp_path, 1, "again", rater="somebody")
    refused(one, "sheet 1 was filled in 2 times", two)
    saved(tmp_path, 2)
    found = collect(STUDY, [tmp_path], skip_bad=True)
    assert found.raters == ["sheet 2"], "which of the two is right is not known"
    assert any("filled in 2 times" in remark for remark in found.remarks)


def test_two_files_of_one_rater_must_agree(tmp_path):
    one, two = saved(tmp_path, 1, "b"), saved(tmp_path, 1, "a", value=lambda place, trial: trial.expects or 1)
    refused(one, "one rater's answers to sheet 1 differ", two)


def test_a_part_and_the_whole_are_one_rater(tmp_path):
    saved(tmp_path, 1, "whole")
    saved(tmp_path, 1, "part", value=lambda place, trial: right(place, trial) if place < 3 else None)
    found = collect(STUDY, [tmp_path])
    assert len(found.judgements) == 6 and any("contained in whole.json" in one for one in found.remarks)


def test_who_failed_a_check_does_not_count(tmp_path):
    saved(tmp_path, 1)
    saved(tmp_path, 2, value=lambda place, trial: 4)
    found = collect(STUDY, [tmp_path])
    assert found.raters == ["sheet 1"] and found.excluded == {"sheet 2": "failed 1 of 1 attention checks"}
    assert collect(STUDY, [tmp_path], failed_checks=1).raters == ["sheet 1", "sheet 2"]
    with pytest.raises(UserError, match="sheet 2: failed 1 of 1 attention checks"):
        collect(STUDY, [tmp_path / "sheet2.json"])


def test_a_sheet_that_is_partly_finished_counts_and_is_named(tmp_path):
    saved(tmp_path, 3, value=lambda place, trial: 2 if place < 4 else None)
    found = collect(STUDY, [tmp_path])
    assert len(found.judgements) == 4 and found.remarks == ["sheet 3 is partly finished: 4 of 7 trials; they count."]


def test_two_sheets_of_one_browser_are_remarked_on(tmp_path):
    for sheet in (1, 2):
        saved(tmp_path, sheet, browser="same")
    assert any("Sheets 1, 2 were filled in in one browser" in one for one in collect(STUDY, [tmp_path]).remarks)


def test_label_studio_comes_back(tmp_path):
    def task(item, *answers):
        made = [
            {"completed_by": who, "was_cancelled": False, "result": [{"from_name": "answer", "value": {"rating": one}}]}
            for who, one in answers
        ]
        return {"id": 1, "data": {"study": STUDY.id, "item": item}, "annotations": made}

    path = write(tmp_path, "export", [task("x00000", (1, 5), (2, 3)), task("x00001", (1, 2))])
    found = collect(STUDY, [path])
    assert [(one.rater, one.item, one.value) for one in found.judgements] == [
        ("annotator 1", "x00000", 5),
        ("annotator 1", "x00001", 2),
        ("annotator 2", "x00000", 3),
    ]
    refused(write(tmp_path, "export", [task("x00099", (1, 5))]), "no such item")
    refused(write(tmp_path, "export", [task("x00000", (1, 5), (1, 4))]), "answered twice")
    refused(write(tmp_path, "export", [{"annotations": [{}]}]), "no export of Label Studio")


def test_an_edited_key_is_refused(tmp_path):
    STUDY.save(tmp_path)
    assert Study.load(tmp_path) == STUDY
    (tmp_path / "key.json").write_text((tmp_path / "key.json").read_text().replace("clip-00001", "clip-00002"))
    with pytest.raises(UserError, match="not as it was written"):
        Study.load(tmp_path)
    with pytest.raises(UserError, match="name the folder that `bench human build` wrote"):
        Study.load(tmp_path / "none")
