"""Progress bars, which say how fast it goes."""

from rich.progress import Progress

from mobilenetdet.cli.terminal_bar import RateColumn


def test_frames_a_second():
    now = [0.0]
    bar = Progress(disable=True, get_time=lambda: now[0])
    task = bar.add_task("detecting", total=None)
    column = RateColumn()
    assert column.render(bar.tasks[0]).plain == ""
    for done in range(1, 6):
        now[0] += 0.25
        bar.update(task, completed=done)
    assert column.render(bar.tasks[0]).plain == "4.0/s"
