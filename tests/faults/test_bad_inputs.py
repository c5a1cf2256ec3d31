"""Bad inputs: one message that names file, value and remedy; no file of the user's changes."""

import pytest
from faults import (
    bad_configs,
    bad_exports,
    bad_images,
    bad_imported_records,
    bad_imports,
    bad_labels,
    bad_manifests,
    bad_pages,
    bad_records,
    bad_results,
    bad_runs,
    bad_weights,
)
from faults.user_folder import check

from mobilenetdet.cli import predict

TABLES = (
    *(bad_labels, bad_results, bad_images, bad_records, bad_manifests),
    *(bad_weights, bad_runs, bad_configs, bad_imports, bad_exports),
    bad_pages,
    bad_imported_records,
)
GROUPS = {name: cases for table in TABLES for name, cases in table.CASES.items()}
CASES = [
    pytest.param(group, case, id=f"{group}: {case.kind}")
    for group, cases in GROUPS.items()
    for case in cases
]
# Of each twenty, one is tried whenever the tests run.
SAMPLE = CASES[::20]


@pytest.fixture
def quick_detector(monkeypatch, red_finder):
    """Detects without a network: whether a picture can be read is known before."""
    found = red_finder()

    def use(group: str) -> None:
        if group.startswith("pictures"):
            monkeypatch.setattr(predict, "load_for_engine", lambda *args, **more: found)

    return use


@pytest.mark.faults
@pytest.mark.parametrize(("group", "case"), CASES)
def test_bad_input(group, case, user_folder, quick_detector, capfd):
    quick_detector(group)
    check(case, user_folder, capfd)


@pytest.mark.parametrize(("group", "case"), SAMPLE)
def test_a_sample_of_bad_inputs(group, case, user_folder, quick_detector, capfd):
    quick_detector(group)
    check(case, user_folder, capfd)


def test_there_are_at_least_120_kinds():
    kinds = [case.id for case in CASES]
    assert len(set(kinds)) == len(kinds) >= 120
