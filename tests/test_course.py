"""The course: every exercise stands in it once, after what it requires, and the next one is named."""

from __future__ import annotations

import pytest

import tutor
from tutor import course
from tutor.catalogue import entries, find, folder
from tutor.errors import ExerciseError
from tutor.views import listing

COURSE = course.read(folder())


def test_every_exercise_stands_in_the_course():
    assert sorted(COURSE.order) == sorted(entry.id for entry in entries())
    assert all(track.title and track.exercises for track in COURSE.tracks)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.id)
def test_an_exercise_comes_after_what_it_requires(entry):
    for required in entry.requires:
        assert COURSE.order.index(find(required).id) < COURSE.order.index(entry.id), required


def test_the_list_is_in_the_order_of_the_course():
    assert [entry.id for entry in entries()] == COURSE.order
    table = listing.table(entries())
    places = [table.index(f"\n{track.title}\n") for track in COURSE.tracks]
    assert places == sorted(places)


def test_what_no_track_names_stands_at_the_end_by_level(tmp_path):
    for id, level in (("b", 2), ("a", 3), ("c", 9)):
        text = f'from tutor import Exercise\nexercise = Exercise("{id}", title="The {id}", level={level})\n'
        (tmp_path / f"{id}.py").write_text(text)
    (tmp_path / "course.toml").write_text('[[track]]\ntitle = "First"\nexercises = ["c", "not-there"]\n')
    found = entries(tmp_path)
    assert [(e.id, e.track) for e in found] == [("c", "First"), ("b", ""), ("a", "")]
    assert "\nOthers\n" in listing.table(found)
    (tmp_path / "course.toml").unlink()
    assert [e.id for e in entries(tmp_path)] == ["b", "a", "c"]
    assert "Others" not in listing.table(entries(tmp_path))


@pytest.mark.parametrize(
    "text, said",
    [
        ('[[track]]\ntitle = "One"', "track 1 needs title"),
        ("[[track]]\nexercises = []\n", "track 1 needs title"),
        ('track = ["x"]', "track 1 needs title"),
        ('[[track]]\ntitle = "One"\nexercises = ["a", "a"]', 'track 1 names "a" a second time'),
        ('[[track]]\ntitle = "One"\nexercises = [1]', "track 1 needs title"),
        ("[[track", "course.toml"),
    ],
)
def test_a_course_that_is_not_sound_says_where(tmp_path, text, said):
    (tmp_path / "course.toml").write_text(text)
    with pytest.raises(ExerciseError, match=said.replace("[", r"\[")):
        entries(tmp_path)


def test_the_next_exercise_follows_the_furthest_one_begun(tmp_path):
    first, second, third = COURSE.order[:3]
    assert COURSE.after(course.begun(tmp_path)) == first
    (tmp_path / "a.py").write_text(f"# exercise: {second}\ndw = 1\n")
    (tmp_path / "b.py").mkdir()
    (tmp_path / "0.py").write_text("print('not a sheet')\n")
    (tmp_path / "c.py").write_bytes(b"\xff\xfe\x00")
    assert course.begun(tmp_path) == {second}
    assert COURSE.after({second}) == third
    assert COURSE.after({COURSE.order[-1]}) is None
    assert COURSE.after({"mine"}) == first


def test_a_member_of_a_family_counts_for_the_family(tmp_path):
    (tmp_path / "m.py").write_text("# exercise: mlp:layers=3\ndW1 = 0\n")
    assert course.begun(tmp_path) == {"mlp"}


def test_tracks_are_data_too():
    assert all(entry.to_dict()["track"] == COURSE.track_of(entry.id) for entry in tutor.entries())
