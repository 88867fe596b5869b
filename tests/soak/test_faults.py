"""Long forms of tests/test_faults.py: `make soak`."""

import pytest

ROUNDS = 20


WORKS = ["fetching", "converting", "extracting", "saving", "calibrating", "saving_stories", "writing_results"]


@pytest.mark.parametrize("work", [*WORKS, "writing_a_control_vector"])
def test_kills_corrupt_nothing_and_a_rerun_resumes(run, work):
    run(f"killed_while_{work}", ROUNDS)


@pytest.mark.parametrize("works", ["fetch", "convert", "extract"])
def test_two_processes_may_work_at_once(run, works):
    run(f"two_{works}_at_once", ROUNDS)


def test_two_processes_may_convert_at_once_in_the_place_of_a_damaged_folder(run):
    run("two_convert_at_once_over_a_damaged_folder", ROUNDS)


@pytest.mark.parametrize("work", ["fetching", "converting", "the_tokenizer_is_saved", "saving", "extracting"])
def test_a_full_disk_is_one_error_and_keeps_what_was_there(run, work):
    run(f"full_disk_while_{work}", ROUNDS)


def test_a_damaged_cache_entry_is_noticed_and_made_again(run):
    run("damaged_cache", 4 * ROUNDS)


def test_ranks_that_die_leave_the_cache_whole_and_a_rerun_resumes(run):
    run("a_rank_dies_while_extracting", 3)  # there are no more batches
