"""One thread while we judge, and the caller's own number of them before and after."""

import torch

import tutor


def test_the_callers_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        seen = []
        exercise = tutor.load("linear-regression")
        tutor.check(exercise, lambda t: seen.append(torch.get_num_threads()) or {"w": t.w, "b": t.b})
        tutor.check(exercise, "dw = 4")
        assert (set(seen), torch.get_num_threads()) == ({3}, 3)  # a learner's own function has all of them
    finally:
        torch.set_num_threads(before)


def test_one_thread_inside(monkeypatch):
    from tutor.checking import lines

    seen = []
    report = lines.SheetJudge.report
    monkeypatch.setattr(lines.SheetJudge, "report", lambda self: seen.append(torch.get_num_threads()) or report(self))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        tutor.check("linear-regression", "dw = 4")
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
